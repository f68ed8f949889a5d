import Compute
import Tensors

/// The kernels of attention in f32 or bf16, for blocks of which all tokens are read.
struct FloatAttentionKernels: SublayerKernels {
    let norm: LayerNormKernel
    let width: Int
    /// Queries, keys and values.
    let qkv: Kernel
    let heads: AttentionHeadKernels
    let output: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, _ type: OperandType) throws {
        let d = c.hiddenSize
        width = d
        norm = try LayerNormKernel(engine, c, rows: tokens, type)
        qkv = try Kernel.linear(engine, rows: tokens, inputs: d, outputs: 3 * d, operands: type, result: type)
        heads = try AttentionHeadKernels(engine, c, tokens: tokens, type)
        output = try Kernel.linear(
            engine, rows: tokens, inputs: d, outputs: d, accumulates: true, operands: type, result: .f32)
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

    init(_ kernels: FloatAttentionKernels, _ weights: BlockWeights) throws {
        let block = "layers.\(weights.layer)"
        self.kernels = kernels
        norm = try weights.norm("norm1", weights.load { try $0.norm("\(block).norm1") }, width: kernels.width)
        qkv = try weights.linear("qkv", weights.load { try $0.attentionInput(weights.layer) }, kernels.qkv)
        output = try weights.linear(
            "output", weights.load { try $0.linear("\(block).attention.o_proj") }, kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let input = try kernels.norm.step(norm, b, b.normalized).showing(.attentionInput, b.normalized)
        let project = try qkv.call(Operand(b.normalized), Operand(b.qkv), scratch: b.scratch)
        let add = try output.call(Operand(b.normalized), Operand(b.stream), scratch: b.scratch)
        return [input, ForwardStep(.linear, project)] + (try kernels.heads.steps(b)) + [ForwardStep(.linear, add)]
    }
}

/// What attention computes between its linear layers, one head at a time, so that the scores of a head stay in the
/// cache; the same in int8, in whose attention only linear layers are in eight bits.
struct AttentionHeadKernels: Sendable {
    private let tokens: Int
    private let heads: Int
    private let headSize: Int
    /// q kᵀ, (T, T).
    private let scores: Kernel
    /// p v, (T, head size).
    private let mix: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, _ type: OperandType) throws {
        self.tokens = tokens
        (heads, headSize) = (c.heads, c.headSize)
        let (d, stride) = (c.hiddenSize, Softmax.stride(tokens))
        // Whole vectors of scores take less time than all but a few of them.
        scores = try Kernel.product(
            engine, m: tokens, k: c.headSize, n: stride, sourceStride: 3 * d, otherStride: 3 * d,
            transposed: true, outputStride: stride, operands: type)
        mix = try Kernel.product(
            engine, m: tokens, k: tokens, n: c.headSize, sourceStride: stride, otherStride: 3 * d,
            transposed: false, outputStride: d, operands: type, result: type)
    }

    var kernels: [Kernel] { [scores, mix] }

    /// Binds all heads to buffers: from `qkv` to `normalized`.
    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let d = heads * headSize
        let (scoresBuffer, probabilities, tokens) = (b.scores, b.probabilities, tokens)
        return try (0..<heads).flatMap { head in
            let column = head * headSize
            let scores = try KernelCall(
                scores, source: Operand(b.qkv, offset: column), weights: Operand(b.qkv, offset: d + column),
                destination: Operand(b.scores), scratch: b.scratch)
            let mix = try KernelCall(
                mix, source: Operand(b.probabilities), weights: Operand(b.qkv, offset: 2 * d + column),
                destination: Operand(b.normalized, offset: column), scratch: b.scratch)
            let softmax = ForwardStep(.attention) {
                Softmax.apply(scoresBuffer, into: probabilities, rows: tokens, columns: tokens)
            }
            let last = ForwardStep(.attention, mix)
            return [
                ForwardStep(.attention, scores), softmax,
                head == heads - 1 ? last.showing(.attentionOutput, b.normalized) : last,
            ]
        }
    }
}
