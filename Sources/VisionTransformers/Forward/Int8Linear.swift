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

    /// Rounds and packs a layer.
    ///
    /// - Parameter offset: what its inputs are shifted by, or nil when they are centred.
    init(_ plain: PlanLoader.Plain, _ kernel: Kernel, offset: Float? = nil) throws {
        let weight = Int8.Weight(plain.weight, outputs: plain.bias.count)
        // Inputs are too large by 128 steps when they are centred, which products take away, or by the offset, which the bias does.
        let excess = zip(weight.sums.elements, weight.scale.elements).map { sum, scale in (offset ?? 0) * sum * scale }
        products = ForwardPlan.Linear(
            kernel: kernel, weights: try kernel.pack(UnsafeBufferPointer(weight.values.elements)),
            bias: FloatBuffer(weight.sums.elements.map { offset == nil ? -128 * $0 : 0 }))
        scaling = Int8.Scaling(
            scale: weight.scale, bias: FloatBuffer(zip(plain.bias, excess).map { $0 - $1 }))
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
        let (stream, scaling) = (buffers.stream, scaling)
        return [
            try step(rows, Operand(int8.products), buffers),
            ForwardStep(.quantization) {
                Int8.add(int8.products, scaling, scales: rows.scales, to: stream, rows: count)
            },
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
