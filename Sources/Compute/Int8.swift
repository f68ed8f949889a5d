internal import CKernels
internal import COneDNN
package import Tensors

/// Products in eight bits. Activations are unsigned bytes with a scale and an offset for each row (token), taken from
/// the row itself while it is computed; weights are signed bytes with a scale for each output. Sums of products are
/// whole numbers, so nothing is lost between the two roundings.
///
/// A row x is stored as q = `round((x - minimum) / s)`, its range in 255 steps, so that x is about `s (q - 128) +
/// offset`. Products are those of `q - 128`; the offset contributes the offset times the sum of an output's weights.
/// All loops run on the calling thread.
package enum Int8 {
    /// Whether the processor has instructions for it that add products of bytes in 32 bits; older ones overflow.
    package static var isSupported: Bool { mv_has_int8() != 0 }

    /// Rejects a processor without instructions for it.
    ///
    /// - Throws: `ComputeError` naming the instructions.
    package static func check() throws(ComputeError) {
        guard !isSupported else { return }
        throw ComputeError(operation: "compute in int8", reason: "the processor has no AVX512_VNNI")
    }

    /// What turns a layer's products into its results.
    package struct Scaling: Sendable {
        /// For each output, the factor of its products, besides the row's scale.
        package let scale: FloatBuffer
        /// For each output, the sum of its weights, the factor of the row's offset.
        package let sum: FloatBuffer
        /// For each output, its bias.
        package let bias: FloatBuffer

        /// Scales, sums and biases of a layer.
        package init(scale: FloatBuffer, sum: FloatBuffer, bias: FloatBuffer) {
            self.scale = scale
            self.sum = sum
            self.bias = bias
        }

        /// The scaling of a weight's products.
        package init(_ weight: Weight, bias: FloatBuffer) {
            let sums = zip(weight.sums, weight.scale).map { Float($0) * $1 }
            self.init(scale: FloatBuffer(weight.scale), sum: FloatBuffer(sums), bias: bias)
        }
    }

    /// A layer's products with their scaling.
    package struct Products: Sendable {
        /// (rows, columns).
        package let values: NumberBuffer
        /// The layer's.
        package let scaling: Scaling

        /// Products of a layer.
        package init(_ values: NumberBuffer, _ scaling: Scaling) {
            self.values = values
            self.scaling = scaling
        }

        var layer: mv_int8_layer {
            mv_int8_layer(
                products: values.memory, column_scale: scaling.scale.base, column_sum: scaling.sum.base,
                bias: scaling.bias.base)
        }
    }

    /// Quantized rows, (rows, columns), and the scale and offset of each.
    package struct Rows: Sendable {
        /// The bytes.
        package let bytes: ByteBuffer
        /// The step of each row.
        package let scales: FloatBuffer
        /// The value of the byte 128 in each row.
        package let offsets: FloatBuffer

        /// Takes memory for rows.
        package init(rows: Int, columns: Int) {
            bytes = ByteBuffer(count: rows * columns)
            scales = FloatBuffer(count: rows)
            offsets = FloatBuffer(count: rows)
        }

        var rows: mv_int8_rows { mv_int8_rows(bytes: bytes.base, scale: scales.base, offset: offsets.base) }
    }

    /// Layer normalization of dense rows with scale and shift, quantized.
    ///
    /// - Parameter row: memory for one row.
    package static func layerNorm(
        _ source: FloatBuffer, scale: FloatBuffer, shift: FloatBuffer, epsilon: Float, into result: Rows,
        row: FloatBuffer, rows: Int
    ) {
        var result = result.rows
        mv_int8_layer_norm(source.base, scale.base, shift.base, epsilon, &result, row.base, rows, scale.count)
    }

    /// Quantizes dense rows.
    package static func quantize(_ source: NumberBuffer, into result: Rows, rows: Int, columns: Int) {
        var result = result.rows
        mv_int8_quantize(source.memory, source.isNarrow, &result, rows, columns)
    }

    /// Computes a layer's results from its products.
    ///
    /// - Parameters:
    ///   - products: dense rows.
    ///   - source: the rows that were multiplied.
    ///   - result: receives rows at a distance of `stride`, stored as the products are.
    package static func dequantize(
        _ products: Products, of source: Rows, into result: Operand, rows: Int, stride: Int
    ) {
        var (layer, source) = (products.layer, source.rows)
        mv_int8_dequantize(
            &layer, products.values.isNarrow, &source, result.address, rows, products.scaling.scale.count, stride)
    }

    /// Adds a layer's results to dense rows, `sum`; products are in f32.
    package static func add(_ products: Products, of source: Rows, to sum: FloatBuffer, rows: Int) {
        var (layer, source) = (products.layer, source.rows)
        mv_int8_add(&layer, &source, sum.base, rows, products.scaling.scale.count)
    }
}

extension Int8 {
    /// Computes `activation(first)`, or `activation(first) · up`, times a factor for each column, quantized.
    ///
    /// - Parameters:
    ///   - first: products of rows.
    ///   - up: a gated MLP's up branch of the same rows, or nil.
    ///   - factor: one for each column.
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
