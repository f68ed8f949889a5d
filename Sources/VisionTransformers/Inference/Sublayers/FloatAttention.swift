import Compute
import Tensors

/// The kernels of attention in f32 or bf16 that computes keys and values of all tokens.
struct FloatAttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    let norm: LayerNormKernel
    /// Queries, keys and values.
    let qkv: Kernel
    let heads: AttentionHeadKernels
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ rotary: Rotary?,
        weighsTokens: Bool, _ type: OperandType
    ) throws {
        let d = c.hiddenSize
        (configuration, self.tokens) = (c, tokens)
        norm = try LayerNormKernel(engine, c, rows: tokens.all, type)
        let isNarrow = type != .f32
        qkv = try Kernel.linear(
            engine, rows: linearRows(tokens.all, isNarrow: isNarrow), inputs: d, outputs: 3 * d, operands: type,
            result: type)
        heads = try AttentionHeadKernels(engine, c, tokens, rotary, .rows(c), weighsTokens: weighsTokens, type)
        output = try Kernel.linear(
            engine, rows: linearRows(tokens.outputs, isNarrow: isNarrow), inputs: d, outputs: d, accumulates: true,
            operands: type, result: .f32)
    }

    var linearKernels: [Kernel] { [qkv, output] }
    var otherKernels: [Kernel] { norm.kernels + heads.kernels }

    func sublayer(_ weights: BlockWeights) throws -> any Sublayer { try FloatAttention(self, weights) }
}

/// A block's attention in f32 or bf16: `stream += attention(norm(stream))`.
struct FloatAttention: Sublayer {
    private let kernels: FloatAttentionKernels
    private let norm: LayerNorm
    /// Query, key and value as one layer; the query is already divided by the root of the head size.
    private let qkv: PackedLinear
    private let output: PackedLinear
    private let scoreBias: FloatBuffer?

    init(_ kernels: FloatAttentionKernels, _ weights: BlockWeights) throws {
        let block = "layers.\(weights.layer)"
        self.kernels = kernels
        norm = try weights.norm(
            "norm1", weights.load { try $0.norm("\(block).norm1") }, width: kernels.configuration.hiddenSize)
        qkv = try weights.linear("qkv", weights.load { try $0.attentionInput(weights.layer) }, kernels.qkv)
        output = try weights.linear(
            "output", weights.load { try $0.linear("\(block).attention.o_proj") }, kernels.output)
        scoreBias = try weights.scoreBias(kernels.configuration, kernels.tokens)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let input = try kernels.norm.step(norm, b, b.normalized).showing(.attentionInput, b.normalized)
        let project = try qkv.call(Operand(b.normalized), Operand(b.qkv), scratch: b.scratch)
        let add = try output.call(Operand(b.normalized), Operand(b.stream), scratch: b.scratch)
        let heads = try kernels.heads.steps(b, scoreBias)
        return [input, ForwardStep(.linear, project)] + heads + [ForwardStep(.linear, add)]
    }
}

/// What attention computes between its linear layers, one head at a time, so that the scores of a head stay in the
/// cache; the same in int8, in whose attention only linear layers are in eight bits.
struct AttentionHeadKernels: Sendable {
    private let tokens: BlockTokens
    private let prefix: Int
    private let heads: Int
    private let headSize: Int
    private let rotary: Rotary?
    let layout: HeadLayout
    /// Whether a token counts as often as it is large, in proportional attention after token merging.
    private let weighsTokens: Bool
    /// q kᵀ, (R, T).
    private let scores: Kernel
    /// p v, (R, head size).
    private let mix: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ rotary: Rotary?,
        _ layout: HeadLayout, weighsTokens: Bool, _ type: OperandType
    ) throws {
        (self.tokens, prefix, self.rotary, self.layout) = (tokens, c.prefix.count, rotary, layout)
        (heads, headSize, self.weighsTokens) = (c.heads, c.headSize, weighsTokens)
        let stride = Softmax.stride(tokens.all)
        // Whole vectors of scores take less time than all but a few of them.
        scores = try Kernel.product(
            engine, m: tokens.outputs, k: c.headSize, n: stride, sourceStride: layout.rowStride,
            otherStride: layout.rowStride,
            transposed: true, outputStride: stride, operands: type)
        mix = try Kernel.product(
            engine, m: tokens.outputs, k: tokens.all, n: c.headSize, sourceStride: stride,
            otherStride: layout.rowStride, transposed: false, outputStride: layout.resultRowStride, operands: type,
            result: type)
    }

    var kernels: [Kernel] { [scores, mix] }

    /// Binds all heads to buffers: from `qkv` to `normalized`.
    ///
    /// - Parameter bias: what is added to the scores, (heads, R, stride), or nil.
    func steps(_ b: ForwardBuffers, _ bias: FloatBuffer?) throws -> [ForwardStep] {
        let (scoresBuffer, probabilities, tokens) = (b.scores, b.probabilities, tokens)
        let weights = weighsTokens ? b.sizes?.logarithms : nil
        let rotation = rotary.map { [prefix, heads, layout, qkv = b.qkv] rotary in
            ForwardStep(.attention) {
                rotary.apply(to: qkv, row: prefix, stride: layout.rowStride, heads: 2 * heads)
            }
        }
        let steps: [ForwardStep] = try (0..<heads).flatMap { head in
            let start = head * layout.headStride
            let scores = try KernelCall(
                scores, source: Operand(b.qkv, offset: start),
                weights: Operand(b.qkv, offset: layout.partStride + start), destination: Operand(b.scores),
                scratch: b.scratch)
            let mix = try KernelCall(
                mix, source: Operand(b.probabilities), weights: Operand(b.qkv, offset: 2 * layout.partStride + start),
                destination: Operand(b.normalized, offset: head * layout.resultHeadStride), scratch: b.scratch)
            let count = tokens.outputs * Softmax.stride(tokens.all)
            let softmax = ForwardStep(.attention) {
                if let bias { RowKernels.add(bias.base + head * count, to: scoresBuffer.base, count: count) }
                Softmax.apply(
                    scoresBuffer, plus: weights?.base, into: probabilities, rows: tokens.outputs, columns: tokens.all)
            }
            let last = ForwardStep(.attention, mix)
            return [
                ForwardStep(.attention, scores), softmax,
                head == heads - 1 ? last.showing(.attentionOutput, b.normalized) : last,
            ]
        }
        return (rotation.map { [$0] } ?? []) + steps
    }
}
