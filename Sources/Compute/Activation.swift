internal import COneDNN
import Tensors

/// An element-wise function, by itself or after a matrix product.
package enum Activation: Sendable, Equatable {
    /// The exact GELU, x Φ(x).
    case gelu
    /// GELU by the tanh approximation.
    case geluTanh
    /// x · sigmoid(alpha · x): SiLU at alpha 1, "quick GELU" at 1.702.
    case swish(alpha: Float)
    /// max(x, 0).
    case relu
}

extension Activation? {
    /// The library's name for it, and its parameter.
    var code: (mv_activation, alpha: Float) {
        switch self {
        case nil: (MV_ACTIVATION_NONE, 0)
        case .gelu: (MV_ACTIVATION_GELU_ERF, 0)
        case .geluTanh: (MV_ACTIVATION_GELU_TANH, 0)
        case .swish(let alpha): (MV_ACTIVATION_SWISH, alpha)
        case .relu: (MV_ACTIVATION_RELU, 0)
        }
    }
}

extension Kernel {
    /// `dst = activation(src)`, dense, element by element.
    ///
    /// - Parameter type: how both are stored; it is computed in f32.
    /// - Throws: `ComputeError` when the library has no kernel for it.
    package static func activation(
        _ engine: KernelEngine, _ activation: Activation, rows: Int, columns: Int, type: OperandType = .f32
    ) throws(ComputeError) -> Kernel {
        try elementwise(engine, activation, rows, columns, type, backward: false)
    }

    /// `dst = activation'(src) · multiplier`, dense, element by element: takes the gradient by an activation's result,
    /// the multiplier, to that by its argument. `dst` may be the multiplier.
    ///
    /// - Parameter type: how all of them are stored; it is computed in f32.
    /// - Throws: `ComputeError` when the library has no kernel for it.
    package static func activationBackward(
        _ engine: KernelEngine, _ activation: Activation, rows: Int, columns: Int, type: OperandType = .f32
    ) throws(ComputeError) -> Kernel {
        try elementwise(engine, activation, rows, columns, type, backward: true)
    }

    private static func elementwise(
        _ engine: KernelEngine, _ activation: Activation, _ rows: Int, _ columns: Int, _ type: OperandType,
        backward: Bool
    ) throws(ComputeError) -> Kernel {
        let (code, alpha) = Optional(activation).code
        return try Kernel(
            engine, "plan \(activation) of \(rows) x \(columns), \(type)",
            Storage(
                source: type.element, multiplier: backward ? type.element : nil, result: type.element)
        ) {
            mv_activation_create(
                &$0, engine.handle, Int64(rows), Int64(columns), type.code, code, alpha, backward ? 1 : 0)
        }
    }
}
