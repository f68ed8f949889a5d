internal import CKernels
public import Tensors

extension Int8 {
    /// A layer's products with what makes its results of them.
    public struct Products: Sendable {
        /// (rows, columns).
        public let values: NumberBuffer
        /// The layer's.
        public let scaling: Scaling

        /// Products of a layer.
        public init(_ values: NumberBuffer, _ scaling: Scaling) {
            self.values = values
            self.scaling = scaling
        }

        var layer: mv_int8_layer {
            mv_int8_layer(
                products: values.memory, column_scale: scaling.scale.base, bias: scaling.bias.base)
        }
    }

    /// What activated rows are shifted by before they become unsigned, or nil when they are centred: the least value of the
    /// activation, so that all 255 steps are used. Gated rows are of either sign.
    public static func offset(_ activation: Activation, isGated: Bool) -> Float? {
        guard !isGated else { return nil }
        return switch activation {
        case .gelu, .geluTanh: 0.17004
        // The least value of x · sigmoid(x) is -0.27846.
        case .swish(let alpha): alpha > 0 ? 0.27847 / alpha : nil
        case .relu: 0
        }
    }

    /// `activation(first)`, or `activation(first) · up`, quantised.
    ///
    /// - Parameters:
    ///   - first: products of rows.
    ///   - up: a gated MLP's up branch of the same rows, or nil.
    ///   - scales: of the rows that were multiplied.
    ///   - result: receives the rows and their scales.
    ///   - row: memory for one row.
    public static func activate(
        _ first: Products, up: Products?, _ activation: Activation, scales: FloatBuffer, into result: Rows,
        row: FloatBuffer,
        rows: Int
    ) {
        let isNarrow = first.values.isNarrow
        var first = first.layer
        let (kind, alpha) = code(activation)
        let offset = offset(activation, isGated: up != nil) ?? MV_INT8_CENTRED
        let columns = row.count
        if var up = up?.layer {
            mv_int8_activate(
                &first, &up, isNarrow, kind, alpha, offset, scales.base, result.bytes.base, result.scales.base,
                row.base, rows, columns)
        } else {
            mv_int8_activate(
                &first, nil, isNarrow, kind, alpha, offset, scales.base, result.bytes.base, result.scales.base,
                row.base, rows, columns)
        }
    }

    private static func code(_ activation: Activation) -> (mv_int8_activation, alpha: Float) {
        switch activation {
        case .gelu: (MV_INT8_GELU, 0)
        case .geluTanh: (MV_INT8_GELU_TANH, 0)
        case .swish(let alpha): (MV_INT8_SWISH, alpha)
        case .relu: (MV_INT8_RELU, 0)
        }
    }
}
