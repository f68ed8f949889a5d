import Compute
import Tensors

/// Attention of all blocks: one head at a time, so that the scores of one head stay in the cache.
struct AttentionKernels: Sendable {
    private let tokens: BlockTokens
    private let heads: Int
    private let headSize: Int
    private let scores: Kernel
    /// In f32; in bf16 softmax is a loop that rounds.
    private let softmax: Kernel?
    private let mix: Kernel

    /// The distance between rows of scores.
    static func scoreStride(tokens: Int, _ precision: Precision) -> Int {
        precision == .f32 ? tokens : BFloat16.paddedColumns(tokens)
    }

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ precision: Precision) throws {
        self.tokens = tokens
        (heads, headSize) = (c.heads, c.headSize)
        let (d, stride) = (c.hiddenSize, Self.scoreStride(tokens: tokens.all, precision))
        scores = try Kernel.product(
            engine, m: tokens.read, k: c.headSize, n: tokens.all, sourceStride: 3 * d, otherStride: 3 * d,
            transposed: true, outputStride: stride, operands: precision)
        softmax =
            precision == .f32 ? try Kernel.softmax(engine, rows: tokens.read, columns: tokens.all) : nil
        mix = try Kernel.product(
            engine, m: tokens.read, k: tokens.all, n: c.headSize, sourceStride: stride, otherStride: 3 * d,
            transposed: false, outputStride: d, operands: precision, result: precision)
    }

    /// The largest scratch memory that any of them wants, in elements.
    var scratchCount: Int { [scores, mix, softmax].compactMap { $0?.scratchCount }.max() ?? 0 }

    /// Binds all heads to buffers: from `qkv` to `normalized`.
    func steps(_ buffers: ForwardBuffers) throws -> [ForwardStep] {
        let d = heads * headSize
        let last = heads - 1
        return try (0..<heads).flatMap { head in
            let column = head * headSize
            let scores = try KernelCall(
                scores, source: Operand(buffers.qkv, offset: column),
                weights: Operand(buffers.qkv, offset: d + column), destination: Operand(buffers.scores),
                scratch: buffers.scratch)
            let softmax = try softmaxStep(buffers)
            let mix = try KernelCall(
                mix, source: Operand(buffers.probabilities), weights: Operand(buffers.qkv, offset: 2 * d + column),
                destination: Operand(buffers.normalized, offset: column), scratch: buffers.scratch)
            let read = ForwardStep(.attention) { try mix.run() }
            return [
                ForwardStep(.attention) { try scores.run() }, softmax,
                head == last ? read.showing(.attentionOutput, buffers.normalized) : read,
            ]
        }
    }

    private func softmaxStep(_ buffers: ForwardBuffers) throws -> ForwardStep {
        let (scores, tokens) = (buffers.scores, tokens)
        if case .bf16(let result) = buffers.probabilities {
            return ForwardStep(.attention) {
                BFloat16.softmax(scores.base, into: result.base, rows: tokens.read, columns: tokens.all)
            }
        }
        let calls = try softmax.map {
            try KernelCall($0, source: Operand(scores), destination: Operand(scores), scratch: buffers.scratch)
        }
        return ForwardStep(.attention) { try calls?.run() }
    }
}
