package import Compute
import Tensors

/// In which numbers a forward pass multiplies. Sums, the residual stream, layer normalization, softmax and the heads
/// are computed in 32-bit floats in each of them.
///
/// The cases are in the order of their speed.
package enum ComputePrecision: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// bfloat16 operands.
    case bf16
    /// Eight-bit operands in the blocks' linear layers (see `Int8`) but those that are left in floats; bfloat16 in
    /// these, the patch embedding and attention, or 32-bit floats where the processor has no bfloat16.
    case int8

    /// Whether the processor has instructions for it.
    package var isSupported: Bool {
        switch self {
        case .f32, .bf16: operandType.isSupported
        case .int8: Int8.isSupported
        }
    }

    /// Refuses a precision that the processor has no instructions for.
    ///
    /// - Throws: `ComputeError` naming the instructions.
    package func check() throws(ComputeError) {
        switch self {
        case .f32, .bf16: try operandType.check()
        case .int8: try Int8.check()
        }
    }

    /// How operands are stored that are not in eight bits.
    var operandType: OperandType {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: OperandType.bf16.isSupported ? .bf16 : .f32
        }
    }
}

extension OperandType {
    /// The precision of a forward pass with such operands.
    var computePrecision: ComputePrecision { self == .f32 ? .f32 : .bf16 }
}
