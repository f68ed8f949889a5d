import Compute
import Tensors

/// A linear layer in eight bits.
struct Int8Linear: Sendable {
    /// What is computed in whole numbers.
    let products: ForwardPlan.Linear
    /// What makes the layer's results of the products.
    let scaling: Int8.Scaling

    /// A layer whose products and scaling are ready.
    init(products: ForwardPlan.Linear, scaling: Int8.Scaling) {
        self.products = products
        self.scaling = scaling
    }

    /// Packs a layer.
    init(_ layer: RoundedLayer, _ kernel: Kernel) throws {
        // Products of bytes less 128.
        products = ForwardPlan.Linear(
            kernel: kernel, weights: try layer.weight.floats.withUnsafeBufferPointer { try kernel.pack($0) },
            bias: FloatBuffer(layer.weight.sums.map { Float(-128 * $0) }))
        scaling = Int8.Scaling(layer.weight, bias: FloatBuffer(layer.bias))
    }

    /// Binds the products to buffers.
    func step(_ rows: Int8.Rows, _ destination: Operand, _ buffers: ForwardBuffers) throws -> ForwardStep {
        let call = try KernelCall(
            products.kernel, source: Operand(rows.bytes), weights: Operand(products.weights), bias: products.bias,
            destination: destination, scratch: buffers.scratch)
        return ForwardStep(.linear) { try call.run() }
    }

    /// Binds the layer, with its results added to the stream.
    func addingSteps(_ rows: Int8.Rows, count: Int, _ buffers: ForwardBuffers, _ int8: Int8Buffers) throws
        -> [ForwardStep]
    {
        let (stream, products) = (buffers.stream, Int8.Products(.f32(int8.products), scaling))
        return [
            try step(rows, Operand(int8.products), buffers),
            ForwardStep(.quantization) { Int8.add(products, of: rows, to: stream, rows: count) },
        ]
    }
}

extension ForwardPlan.Norm {
    /// Binds the normalization of so many tokens, rounded to eight bits.
    func int8Step(rows: Int, epsilon: Float, _ buffers: ForwardBuffers, _ int8: Int8Buffers) -> ForwardStep {
        let (stream, scale, shift) = (buffers.stream, scale, shift)
        return ForwardStep(.normalization) {
            Int8.layerNorm(
                stream, scale: scale, shift: shift, epsilon: epsilon, into: int8.narrow, row: int8.narrowRow, rows: rows
            )
        }
    }
}
