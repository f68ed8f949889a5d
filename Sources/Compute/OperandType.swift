internal import COneDNN
package import Tensors

/// How the numbers that kernels multiply are stored. Sums of products are 32-bit floats either way.
package enum OperandType: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// bfloat16: a 32-bit float's sign and exponent with 7 bits of its fraction. Half the memory, twice the products per
    /// second on processors that have instructions for them.
    case bf16

    /// Whether the processor has instructions for it. The library emulates bf16 on some others, slower than f32, and
    /// refuses it on the rest.
    package var isSupported: Bool { self == .f32 || mv_has_bf16() != 0 }

    /// Refuses a type that the processor has no instructions for.
    ///
    /// - Throws: `ComputeError` naming the instructions.
    package func check() throws(ComputeError) {
        guard !isSupported else { return }
        throw ComputeError(
            operation: "compute in \(rawValue)", reason: "the processor has neither AVX512_BF16 nor AMX")
    }

    /// The type of one element in memory.
    package var element: ElementType { self == .f32 ? .float32 : .bfloat16 }

    /// The library's name for it.
    var code: mv_type { self == .f32 ? MV_F32 : MV_BF16 }
}
