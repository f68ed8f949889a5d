internal import COneDNN
package import Tensors

extension Precision {
    /// Whether the processor has instructions for it. The library emulates bf16 on some others, slower than f32, and refuses
    /// it on the rest.
    package var isSupported: Bool { self == .f32 || mv_has_bf16() != 0 }

    /// The library's name for it.
    var code: mv_type { self == .f32 ? MV_F32 : MV_BF16 }

    /// Refuses a precision that the processor has no instructions for.
    ///
    /// - Throws: `ComputeError` saying which it wants.
    package func check() throws(ComputeError) {
        guard !isSupported else { return }
        throw ComputeError(
            operation: "compute in \(rawValue)", reason: "the processor has neither AVX512_BF16 nor AMX")
    }
}
