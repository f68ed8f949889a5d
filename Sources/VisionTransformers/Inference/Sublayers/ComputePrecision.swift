package import Compute
import Tensors

/// In what numbers a forward pass multiplies. Sums, the residual stream, layer normalization and softmax are computed in 32-bit
/// floats in each of them, and so are the heads.
///
/// The cases stand in the order of their speed.
package enum InferencePrecision: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// bfloat16 operands.
    case bf16
    /// Eight-bit operands in the blocks' linear layers (see `Int8`); bfloat16 in the patch embedding, the first block and attention, or
    /// 32-bit floats where the processor has no bfloat16.
    case int8

    /// Whether the processor has instructions for it.
    package var isSupported: Bool {
        switch self {
        case .f32, .bf16: stored.isSupported
        case .int8: Int8.isSupported
        }
    }

    /// Refuses a precision that the processor has no instructions for.
    ///
    /// - Throws: `ComputeError` saying which it wants.
    package func check() throws(ComputeError) {
        switch self {
        case .f32, .bf16: try stored.check()
        case .int8: try Int8.check()
        }
    }

    /// How activations are stored that are not quantised.
    var stored: Precision {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: Precision.bf16.isSupported ? .bf16 : .f32
        }
    }
}
