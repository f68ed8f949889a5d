internal import COneDNN
package import Tensors

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
    /// - Parameter precision: how both are stored; it is computed in f32.
    /// - Throws: `ComputeError` when the library has no kernel for it.
    package static func activation(
        _ engine: KernelEngine, _ activation: Activation, rows: Int, columns: Int, precision: Precision = .f32
    ) throws(ComputeError) -> Kernel {
        try elementwise(engine, activation, rows, columns, precision, backward: false)
    }

    /// `dst = activation'(src) · multiplier`, dense, element by element: from the gradient of an activation's result, the
    /// multiplier, to that of its argument. `dst` may be the multiplier.
    ///
    /// - Parameter precision: how all of them are stored; it is computed in f32.
    /// - Throws: `ComputeError` when the library has no kernel for it.
    package static func activationBackward(
        _ engine: KernelEngine, _ activation: Activation, rows: Int, columns: Int, precision: Precision = .f32
    ) throws(ComputeError) -> Kernel {
        try elementwise(engine, activation, rows, columns, precision, backward: true)
    }

    private static func elementwise(
        _ engine: KernelEngine, _ activation: Activation, _ rows: Int, _ columns: Int, _ precision: Precision,
        backward: Bool
    ) throws(ComputeError) -> Kernel {
        let (code, alpha) = Optional(activation).code
        return try Kernel(
            engine, "plan \(activation) of \(rows) x \(columns), \(precision)",
            Storage(
                source: precision.format, multiplier: backward ? precision.format : nil, result: precision.format)
        ) {
            mv_activation_create(
                &$0, engine.handle, Int64(rows), Int64(columns), precision.code, code, alpha, backward ? 1 : 0)
        }
    }
}
