internal import CKernels
internal import COneDNN
public import Tensors

/// Products in eight bits. Activations are unsigned bytes with a scale for each row (token), taken from the row itself while it is
/// computed; weights are signed bytes with a scale for each output. Sums of products are whole numbers, so nothing is lost
/// between the two roundings.
///
/// A row x is `round((x + offset) / s)`, so that x is about `s q - offset`, or, centred, `round(x / s) + 128`. What the products
/// have too much goes into the bias. All loops run on the calling thread.
public enum Int8 {
    /// Whether the processor has instructions for it. Those that multiply bytes without adding in 32 bits overflow.
    public static var isSupported: Bool { mv_has_int8() != 0 }

    /// Refuses a processor without instructions for it.
    ///
    /// - Throws: `ComputeError` saying which it wants.
    public static func check() throws(ComputeError) {
        guard !isSupported else { return }
        throw ComputeError(operation: "compute in int8", reason: "the processor has no AVX512_VNNI")
    }

    /// A linear layer's weight in eight bits.
    public struct Weight: Sendable {
        /// Whole numbers of -127...127, (outputs, inputs).
        public let values: FloatBuffer
        /// For each output, what they are multiplied by.
        public let scale: FloatBuffer
        /// For each output, the sum of its values.
        public let sums: FloatBuffer

        /// Rounds a weight, (outputs, inputs).
        public init(_ weight: [Float], outputs: Int) {
            values = FloatBuffer(count: weight.count)
            scale = FloatBuffer(count: outputs)
            sums = FloatBuffer(count: outputs)
            mv_int8_quantize_weights(weight, values.base, scale.base, sums.base, outputs, weight.count / outputs)
        }
    }

    /// What makes a layer's results of its products.
    public struct Scaling: Sendable {
        /// For each output.
        public let scale: FloatBuffer
        /// For each output.
        public let bias: FloatBuffer

        /// Scales and biases of a layer.
        public init(scale: FloatBuffer, bias: FloatBuffer) {
            self.scale = scale
            self.bias = bias
        }
    }

    /// Quantised rows, (rows, columns), and the scale of each.
    public struct Rows: Sendable {
        /// The bytes.
        public let bytes: ByteBuffer
        /// The scales.
        public let scales: FloatBuffer

        /// Takes memory for rows.
        public init(rows: Int, columns: Int) {
            bytes = ByteBuffer(count: rows * columns)
            scales = FloatBuffer(count: rows)
        }
    }

    /// Layer normalization with scale and shift, centred.
    ///
    /// - Parameter row: memory for one row.
    public static func layerNorm(
        _ source: FloatBuffer, scale: FloatBuffer, shift: FloatBuffer, epsilon: Float, into result: Rows,
        row: FloatBuffer, rows: Int
    ) {
        mv_int8_layer_norm(
            source.base, scale.base, shift.base, epsilon, result.bytes.base, result.scales.base, row.base, rows,
            scale.count)
    }

    /// Dense rows, centred.
    public static func quantize(_ source: NumberBuffer, into result: Rows, rows: Int, columns: Int) {
        mv_int8_quantize(
            source.memory, source.isNarrow, result.bytes.base, result.scales.base, rows, columns)
    }

    /// A layer's results of the products of quantised rows.
    ///
    /// - Parameters:
    ///   - products: dense rows.
    ///   - scales: of the rows.
    ///   - result: receives rows that lie `stride` apart; stored as the products are.
    public static func dequantize(
        _ products: NumberBuffer, _ layer: Scaling, scales: FloatBuffer, into result: Operand, rows: Int, stride: Int
    ) {
        mv_int8_dequantize(
            products.memory, products.isNarrow, scales.base, layer.scale.base, layer.bias.base, result.address, rows,
            layer.scale.count, stride)
    }

    /// Adds a layer's results to dense rows, `sum`.
    public static func add(
        _ products: FloatBuffer, _ layer: Scaling, scales: FloatBuffer, to sum: FloatBuffer, rows: Int
    ) {
        mv_int8_add(
            products.base, scales.base, layer.scale.base, layer.bias.base, sum.base, rows, layer.scale.count)
    }
}
