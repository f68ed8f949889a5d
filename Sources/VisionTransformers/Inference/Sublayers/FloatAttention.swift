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
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ heads: AttentionHeadKernels,
        _ type: OperandType
    ) throws {
        let d = c.hiddenSize
        (configuration, self.tokens, self.heads) = (c, tokens, heads)
        norm = try LayerNormKernel(engine, c, rows: tokens.all, type)
        let isNarrow = type != .f32
        qkv = try Kernel.linear(
            engine, rows: linearRows(tokens.all, isNarrow: isNarrow), inputs: d, outputs: 3 * d, operands: type,
            result: type)
        output = try Kernel.linear(
            engine, rows: linearRows(tokens.outputs, isNarrow: isNarrow), inputs: d, outputs: d, accumulates: true,
            operands: type, result: .f32)
    }

    var linearKernels: [Kernel] { [qkv, output] }
    var otherKernels: [Kernel] { norm.kernels + heads.kernels }
    var loopScratchCount: Int { heads.loopScratchCount }

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
