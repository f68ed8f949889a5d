import Compute
import Tensors

/// Attention of blocks whose tokens all are read: one head at a time, so that the scores of one head stay in the cache.
struct AttentionKernels: Sendable {
    private let tokens: Int
    private let heads: Int
    private let headSize: Int
    private let scores: Kernel
    private let mix: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, _ precision: Precision) throws {
        self.tokens = tokens
        (heads, headSize) = (c.heads, c.headSize)
        let (d, stride) = (c.hiddenSize, Softmax.stride(tokens))
        // Whole vectors of scores take less time than all but a few of them.
        scores = try Kernel.product(
            engine, m: tokens, k: c.headSize, n: stride, sourceStride: 3 * d, otherStride: 3 * d,
            transposed: true, outputStride: stride, operands: precision)
        mix = try Kernel.product(
            engine, m: tokens, k: tokens, n: c.headSize, sourceStride: stride, otherStride: 3 * d,
            transposed: false, outputStride: d, operands: precision, result: precision)
    }

    /// The largest scratch memory that any of them wants, in elements.
    var scratchCount: Int { max(scores.scratchCount, mix.scratchCount) }

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
            let mix = try KernelCall(
                mix, source: Operand(buffers.probabilities), weights: Operand(buffers.qkv, offset: 2 * d + column),
                destination: Operand(buffers.normalized, offset: column), scratch: buffers.scratch)
            let read = ForwardStep(.attention) { try mix.run() }
            return [
                ForwardStep(.attention) { try scores.run() }, softmax(buffers),
                head == last ? read.showing(.attentionOutput, buffers.normalized) : read,
            ]
        }
    }

    private func softmax(_ buffers: ForwardBuffers) -> ForwardStep {
        let (scores, probabilities, tokens) = (buffers.scores, buffers.probabilities, tokens)
        return ForwardStep(.attention) {
            Softmax.apply(scores, into: probabilities, rows: tokens, columns: tokens)
        }
    }
}
