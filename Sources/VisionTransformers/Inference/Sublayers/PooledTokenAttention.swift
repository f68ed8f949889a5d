import Compute
import Tensors

/// The kernels of an attention of which few tokens are read, in f32 or bf16.
///
/// With x a token after the normalization and q a query, a head's scores q · (Wₖ x + bₖ) are (Wₖᵀ q) · x and something that is the same for
/// all keys, which softmax does not see; and what it reads by them, Σ p (Wᵥ x + bᵥ), is Wᵥ (Σ p x) + bᵥ. So no keys and values are computed:
/// exact, and most of the attention's work less.
struct ReadAttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    /// How many tokens are read.
    let read: Int
    /// How many there are.
    let tokens: Int
    let norm: NormKernel
    /// The queries of the tokens that are read.
    let query: Kernel
    /// A head's queries to what its scores multiply tokens by.
    let key: Kernel
    /// All heads' scores, (heads · read, tokens).
    let scores: Kernel
    /// All heads' mixed tokens, (heads · read, D).
    let mix: Kernel
    /// A head's mixed tokens to its values.
    let value: Kernel
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ precision: Precision
    ) throws {
        let (t, r, d, stride) = (tokens.all, tokens.read, c.hiddenSize, Softmax.stride(tokens.all))
        (configuration, read, self.tokens) = (c, r, t)
        norm = try NormKernel(engine, c, rows: t, precision)
        query = try Kernel.linear(engine, rows: r, inputs: d, outputs: d, operands: precision, result: precision)
        key = try Kernel.linear(
            engine, rows: r, inputs: c.headSize, outputs: d, sourceStride: d, hasBias: false, operands: precision,
            result: precision)
        scores = try Kernel.product(
            engine, m: c.heads * r, k: d, n: stride, sourceStride: d, otherStride: d, transposed: true,
            outputStride: stride, operands: precision)
        mix = try Kernel.product(
            engine, m: c.heads * r, k: t, n: d, sourceStride: stride, otherStride: d, transposed: false,
            outputStride: d, operands: precision, result: precision)
        value = try Kernel.linear(
            engine, rows: r, inputs: d, outputs: c.headSize, outputStride: d, operands: precision, result: precision)
        output = try Kernel.linear(
            engine, rows: r, inputs: d, outputs: d, accumulates: true, operands: precision, result: .f32)
    }

    var linear: [Kernel] { [query, key, value, output] }

    var scratchCount: Int { ([norm.scratchCount] + (linear + [scores, mix]).map(\.scratchCount)).max() ?? 0 }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try ReadAttention(self, packed, layer: layer)
    }

    /// Multiplications and additions for one image: 2 · m · k · n of each product.
    static func operations(_ c: BackboneConfiguration, tokens: Int, read: Int) -> Double {
        let (t, r, d) = (Double(tokens), Double(read), Double(c.hiddenSize))
        return 2 * r * (4 * d * d + 2 * Double(c.heads) * t * d)
    }
}

/// A block's attention of which few tokens are read.
struct ReadAttention: Sublayer {
    private let kernels: ReadAttentionKernels
    private let norm: ForwardPlan.Norm
    private let query: ForwardPlan.Linear
    /// Of each head.
    private let keys, values: [ForwardPlan.Linear]
    private let output: ForwardPlan.Linear

    init(_ kernels: ReadAttentionKernels, _ packed: PackedWeights, layer: Int) throws {
        let (name, heads) = (PlanLoader.blockName(layer), kernels.configuration.heads)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm1", width: kernels.configuration.hiddenSize)
        query = try packed.linear("\(name).query", kernels.query)
        keys = try (0..<heads).map { try packed.linear("\(name).key.\($0)", kernels.key) }
        values = try (0..<heads).map { try packed.linear("\(name).value.\($0)", kernels.value) }
        output = try packed.linear("\(name).output", kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let (c, r) = (kernels.configuration, kernels.read)
        let (d, rows) = (c.hiddenSize, c.heads * r)
        // Queries, then values; what tokens are multiplied by, then mixed tokens.
        let (values, mixed) = (Operand(b.qkv, offset: r * d), Operand(b.hidden, offset: rows * d))
        let (scores, probabilities, tokens) = (b.scores, b.probabilities, kernels.tokens)
        func call(_ layer: ForwardPlan.Linear, _ source: Operand, _ destination: Operand) throws -> KernelCall {
            try KernelCall(
                layer.kernel, source: source, weights: Operand(layer.weights), bias: layer.bias,
                destination: destination, scratch: b.scratch)
        }
        let queries = try call(query, Operand(b.normalized), Operand(b.qkv))
        let key = try keys.enumerated().map { head, layer in
            try call(
                layer, Operand(b.qkv, offset: head * c.headSize), Operand(b.hidden, offset: head * r * d))
        }
        let score = try KernelCall(
            kernels.scores, source: Operand(b.hidden), weights: Operand(b.normalized), destination: Operand(scores),
            scratch: b.scratch)
        let mix = try KernelCall(
            kernels.mix, source: Operand(probabilities), weights: Operand(b.normalized), destination: mixed,
            scratch: b.scratch)
        let value = try self.values.enumerated().map { head, layer in
            try call(
                layer, Operand(b.hidden, offset: (rows + head * r) * d),
                Operand(b.qkv, offset: r * d + head * c.headSize))
        }
        let output = try call(output, values, Operand(b.stream))
        return [
            try kernels.norm.step(norm, b, b.normalized), ForwardStep(.linear) { try queries.run() },
            ForwardStep(.attention) {
                for call in key { try call.run() }
                try score.run()
                Softmax.apply(scores, into: probabilities, rows: rows, columns: tokens)
                try mix.run()
                for call in value { try call.run() }
            },
            ForwardStep(.linear) { try output.run() },
        ]
    }
}
