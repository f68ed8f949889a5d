internal import CKernels
package import Tensors

extension Int8 {
    /// `activation(first)`, or `activation(first) · up`, times a factor for each column, quantised.
    ///
    /// - Parameters:
    ///   - first: products of rows.
    ///   - up: a gated MLP's up branch of the same rows, or nil.
    ///   - factor: of each column.
    ///   - source: the rows that were multiplied.
    ///   - result: receives the rows.
    ///   - row: memory for one row.
    package static func activate(
        _ first: Products, up: Products?, _ activation: Activation, factor: FloatBuffer, of source: Rows,
        into result: Rows, row: FloatBuffer, rows: Int
    ) {
        let isNarrow = first.values.isNarrow
        var (first, source, result) = (first.layer, source.rows, result.rows)
        let (kind, alpha) = code(activation)
        let columns = row.count
        if var up = up?.layer {
            mv_int8_activate(
                &first, &up, isNarrow, kind, alpha, factor.base, &source, &result, row.base, rows, columns)
        } else {
            mv_int8_activate(
                &first, nil, isNarrow, kind, alpha, factor.base, &source, &result, row.base, rows, columns)
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
