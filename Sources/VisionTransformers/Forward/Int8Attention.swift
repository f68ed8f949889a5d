import Compute
import Tensors

/// The kernels that blocks of the same tokens share, in int8.
struct Int8BlockKernels: ForwardBlockKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    let stored: Precision
    /// The queries of the tokens that are read, when these are not all.
    let query: Kernel?
    /// Queries, keys and values, or keys and values alone.
    let qkv: Kernel
    let attention: AttentionKernels
    let attentionOutput: Kernel
    /// The MLP's first layer, and a gated MLP's up branch.
    let first: Kernel
    let second: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, stored: Precision) throws {
        let (t, r, d, m) = (tokens.all, tokens.read, c.hiddenSize, c.intermediateSize)
        func products(
            _ rows: Int, _ inputs: Int, _ outputs: Int, _ result: Precision
        ) throws -> Kernel {
            try Kernel.products(engine, rows: rows, inputs: inputs, outputs: outputs, result: result)
        }
        configuration = c
        self.tokens = tokens
        self.stored = stored
        query = r < t ? try products(r, d, d, stored) : nil
        qkv = try products(t, d, r < t ? 2 * d : 3 * d, stored)
        attention = try AttentionKernels(engine, c, tokens, stored)
        attentionOutput = try products(r, d, d, .f32)
        first = try products(r, d, m, stored)
        second = try products(r, m, d, .f32)
    }

    /// What follows the MLP's first layer; in a gated MLP, the gate.
    var activation: Activation { configuration.usesSwiGLU ? .swish(alpha: 1) : configuration.activation }

    var linear: [Kernel] { [query, qkv, attentionOutput, first, second].compactMap(\.self) }

    var scratchCount: Int { ([attention.scratchCount] + linear.map(\.scratchCount)).max() ?? 0 }
}

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
}

/// One transformer block in int8.
struct Int8Block: ForwardBlock {
    private let kernels: Int8BlockKernels
    private let activation: Activation
    private let norm1: ForwardPlan.Norm
    private let query: Int8Linear?
    private let qkv: Int8Linear
    private let attentionOutput: Int8Linear
    private let norm2: ForwardPlan.Norm
    private let up: Int8Linear?
    private let first: Int8Linear
    private let second: Int8Linear

    init(_ kernels: Int8BlockKernels, _ packed: PackedWeights, layer: Int) throws {
        let c = kernels.configuration
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        activation = kernels.activation
        norm1 = try packed.norm("\(name).norm1", width: c.hiddenSize)
        query = try kernels.query.map { try packed.int8("\(name).query", $0) }
        qkv = try packed.int8("\(name).qkv", kernels.qkv)
        attentionOutput = try packed.int8("\(name).output", kernels.attentionOutput)
        norm2 = try packed.norm("\(name).norm2", width: c.hiddenSize)
        up = c.usesSwiGLU ? try packed.int8("\(name).up", kernels.first) : nil
        first = try packed.int8("\(name).first", kernels.first)
        second = try packed.int8("\(name).second", kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let (d, read) = (kernels.configuration.hiddenSize, kernels.tokens.read)
        var steps = [normalize(norm1, rows: kernels.tokens.all, b, int8)]
        if let query { steps += try attentionInput(query, Operand(b.qkv), rows: read, b, int8) }
        let keys = Operand(b.qkv, offset: query == nil ? 0 : d)
        steps += try attentionInput(qkv, keys, rows: kernels.tokens.all, b, int8)
        steps += try kernels.attention.steps(b)
        let attended = b.normalized
        steps.append(
            ForwardStep(.quantization) { Int8.quantize(attended, into: int8.narrow, rows: read, columns: d) })
        steps += try added(attentionOutput, int8.narrow, b, int8)
        steps.append(normalize(norm2, rows: read, b, int8))
        if let up { steps.append(try up.step(int8.narrow, Operand(b.up), b)) }
        steps.append(try first.step(int8.narrow, Operand(b.hidden), b))
        steps.append(activate(b, int8))
        steps += try added(second, int8.wide, b, int8)
        return steps
    }

    private func normalize(
        _ norm: ForwardPlan.Norm, rows: Int, _ b: ForwardBuffers, _ int8: Int8Buffers
    ) -> ForwardStep {
        let (stream, epsilon) = (b.stream, kernels.configuration.layerNormEpsilon)
        return ForwardStep(.normalization) {
            Int8.layerNorm(
                stream, scale: norm.scale, shift: norm.shift, epsilon: epsilon, into: int8.narrow, row: int8.narrowRow,
                rows: rows)
        }
    }

    private func attentionInput(
        _ layer: Int8Linear, _ destination: Operand, rows: Int, _ b: ForwardBuffers, _ int8: Int8Buffers
    ) throws -> [ForwardStep] {
        let stride = 3 * kernels.configuration.hiddenSize
        let products = b.hidden
        return [
            try layer.step(int8.narrow, Operand(products), b),
            ForwardStep(.quantization) {
                Int8.dequantize(
                    products, layer.scaling, scales: int8.narrow.scales, into: destination, rows: rows, stride: stride)
            },
        ]
    }

    private func activate(_ b: ForwardBuffers, _ int8: Int8Buffers) -> ForwardStep {
        let (activation, read) = (activation, kernels.tokens.read)
        let first = Int8.Products(b.hidden, first.scaling)
        let up = up.map { Int8.Products(b.up, $0.scaling) }
        return ForwardStep(.quantization) {
            Int8.activate(
                first, up: up, activation, scales: int8.narrow.scales, into: int8.wide, row: int8.wideRow, rows: read)
        }
    }

    /// A layer whose results are added to the stream.
    private func added(
        _ layer: Int8Linear, _ rows: Int8.Rows, _ b: ForwardBuffers, _ int8: Int8Buffers
    ) throws -> [ForwardStep] {
        let (stream, read) = (b.stream, kernels.tokens.read)
        return [
            try layer.step(rows, Operand(int8.products), b),
            ForwardStep(.quantization) {
                Int8.add(int8.products, layer.scaling, scales: rows.scales, to: stream, rows: read)
            },
        ]
    }
}
