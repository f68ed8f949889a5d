import Compute
import Tensors

/// The kernels of attention in f32 or bf16 for a block of which few tokens are read, as the last one when heads read
/// CLS alone.
///
/// With x a token after the normalization and q a query, a head's scores q · (Wₖ x + bₖ) are (Wₖᵀ q) · x plus a number
/// that is the same for all keys, which softmax ignores; and the result, Σ p (Wᵥ x + bᵥ), is Wᵥ (Σ p x) + bᵥ. So no
/// keys and values are computed: exact, with most of the attention's work left out.
struct PooledTokenAttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    /// Whether a token counts as often as it is large.
    let weighsTokens: Bool
    let norm: LayerNormKernel
    /// The queries of the R tokens that are read.
    let query: Kernel
    /// A head's queries to the vectors that its scores multiply tokens by.
    let key: Kernel
    /// All heads' scores, (heads · R, T).
    let scores: Kernel
    /// All heads' mixed tokens, (heads · R, D).
    let mix: Kernel
    /// A head's mixed tokens to its values.
    let value: Kernel
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, weighsTokens: Bool,
        _ type: OperandType
    ) throws {
        let (t, r, d, stride) = (tokens.all, tokens.outputs, c.hiddenSize, Softmax.stride(tokens.all))
        (configuration, self.tokens, self.weighsTokens) = (c, tokens, weighsTokens)
        norm = try LayerNormKernel(engine, c, rows: t, type)
        query = try Kernel.linear(engine, rows: r, inputs: d, outputs: d, operands: type, result: type)
        key = try Kernel.linear(
            engine, rows: r, inputs: c.headSize, outputs: d, sourceStride: d, hasBias: false, operands: type,
            result: type)
        scores = try Kernel.product(
            engine, m: c.heads * r, k: d, n: stride, sourceStride: d, otherStride: d, transposed: true,
            outputStride: stride, operands: type)
        mix = try Kernel.product(
            engine, m: c.heads * r, k: t, n: d, sourceStride: stride, otherStride: d, transposed: false,
            outputStride: d, operands: type, result: type)
        value = try Kernel.linear(
            engine, rows: r, inputs: d, outputs: c.headSize, outputStride: d, operands: type, result: type)
        output = try Kernel.linear(
            engine, rows: r, inputs: d, outputs: d, accumulates: true, operands: type, result: .f32)
    }

    var linearKernels: [Kernel] { [query, key, value, output] }
    var otherKernels: [Kernel] { norm.kernels + [scores, mix] }

    func sublayer(_ weights: BlockWeights) throws -> any Sublayer { try PooledTokenAttention(self, weights) }

    /// Multiplications and additions for one image: 2 · m · k · n of each product.
    static func operations(_ c: BackboneConfiguration, _ tokens: BlockTokens) -> Double {
        let (t, r, d) = (Double(tokens.all), Double(tokens.outputs), Double(c.hiddenSize))
        return 2 * r * (4 * d * d + 2 * Double(c.heads) * t * d)
    }
}

/// A block's attention for the few tokens that are read.
struct PooledTokenAttention: Sublayer {
    private let kernels: PooledTokenAttentionKernels
    private let norm: LayerNorm
    private let query: PackedLinear
    /// Of each head.
    private let keys, values: [PackedLinear]
    private let output: PackedLinear
    private let scoreBias: FloatBuffer?

    init(_ kernels: PooledTokenAttentionKernels, _ weights: BlockWeights) throws {
        let (d, size) = (kernels.configuration.hiddenSize, kernels.configuration.headSize)
        let plain = try weights.load { try $0.attention(weights.layer) }
        self.kernels = kernels
        norm = try weights.norm("norm1", plain?.norm, width: d)
        query = try weights.linear("query", plain?.input.outputs(0..<d), kernels.query)
        /// A head's rows of the keys (1) or the values (2).
        func part(_ number: Int, _ head: Int) -> LinearWeights? {
            let start = number * d + head * size
            return plain?.input.outputs(start..<start + size)
        }
        let heads = 0..<kernels.configuration.heads
        keys = try heads.map { try weights.linear("key.\($0)", part(1, $0)?.transposed, kernels.key) }
        values = try heads.map { try weights.linear("value.\($0)", part(2, $0), kernels.value) }
        output = try weights.linear("output", plain?.output, kernels.output)
        scoreBias = try weights.scoreBias(kernels.configuration, kernels.tokens)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let (c, r) = (kernels.configuration, kernels.tokens.outputs)
        let (d, rows) = (c.hiddenSize, c.heads * r)
        // `qkv`: queries, then values. `hidden`: the vectors that scores multiply tokens by, then mixed tokens.
        let (values, mixed) = (Operand(b.qkv, offset: r * d), Operand(b.hidden, offset: rows * d))
        let (scores, probabilities, tokens) = (b.scores, b.probabilities, kernels.tokens.all)
        let weights = kernels.weighsTokens ? b.sizes?.logarithms : nil
        let queries = try query.call(Operand(b.normalized), Operand(b.qkv), scratch: b.scratch)
        let keyCalls = try keys.enumerated().map { head, key in
            try key.call(
                Operand(b.qkv, offset: head * c.headSize), Operand(b.hidden, offset: head * r * d), scratch: b.scratch)
        }
        let score = try KernelCall(
            kernels.scores, source: Operand(b.hidden), weights: Operand(b.normalized), destination: Operand(scores),
            scratch: b.scratch)
        let mix = try KernelCall(
            kernels.mix, source: Operand(probabilities), weights: Operand(b.normalized), destination: mixed,
            scratch: b.scratch)
        let valueCalls = try self.values.enumerated().map { head, value in
            try value.call(
                Operand(b.hidden, offset: (rows + head * r) * d), Operand(b.qkv, offset: r * d + head * c.headSize),
                scratch: b.scratch)
        }
        let add = try output.call(values, Operand(b.stream), scratch: b.scratch)
        return [
            try kernels.norm.step(norm, b, b.normalized), ForwardStep(.linear, queries),
            ForwardStep(.attention) { [scoreBias] in
                for call in keyCalls { try call.run() }
                try score.run()
                if let scoreBias { RowKernels.add(scoreBias.base, to: scores.base, count: scoreBias.count) }
                Softmax.apply(scores, plus: weights?.base, into: probabilities, rows: rows, columns: tokens)
                try mix.run()
                for call in valueCalls { try call.run() }
            },
            ForwardStep(.linear, add),
        ]
    }
}
