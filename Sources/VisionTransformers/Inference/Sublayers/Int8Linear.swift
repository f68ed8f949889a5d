import Compute
import Tensors

/// A linear layer in eight bits as its kernel reads it.
struct PackedInt8Linear: Sendable {
    /// The part that is computed in whole numbers.
    let products: PackedLinear
    /// The scales and biases that turn the products into the layer's results.
    let scaling: Int8.Scaling

    /// A layer whose products and scaling are ready.
    init(products: PackedLinear, scaling: Int8.Scaling) {
        self.products = products
        self.scaling = scaling
    }

    /// Packs a layer.
    init(_ layer: QuantizedLinear, _ kernel: Kernel) throws(ComputeError) {
        // Activations are unsigned bytes that stand for themselves less 128.
        let sums = layer.weight.sums.map { Float(-128 * $0) }
        products = try PackedLinear(LinearWeights(weight: layer.weight.floats, bias: sums), kernel)
        scaling = Int8.Scaling(layer.weight, bias: FloatBuffer(layer.bias))
    }

    /// Binds the products to quantized rows and the buffer that receives them.
    func step(_ rows: Int8.Rows, _ destination: Operand, scratch: FloatBuffer) throws -> ForwardStep {
        ForwardStep(.linear, try products.call(Operand(rows.bytes), destination, scratch: scratch))
    }

    /// Binds the layer to `count` quantized rows, and adds its results to the stream.
    func addingSteps(
        _ rows: Int8.Rows, count: Int, _ buffers: ForwardBuffers, _ int8: Int8Buffers
    ) throws -> [ForwardStep] {
        let (stream, products) = (buffers.stream, Int8.Products(.f32(int8.products), scaling))
        return [
            try step(rows, Operand(int8.products), scratch: buffers.scratch),
            ForwardStep(.quantization) { Int8.add(products, of: rows, to: stream, rows: count) },
        ]
    }
}
