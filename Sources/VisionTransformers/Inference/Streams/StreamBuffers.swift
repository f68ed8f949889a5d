import Compute
import Tensors

/// Floats that are added up, and the same numbers as operands of products: one memory in f32.
struct RoundedBuffer {
    let floats: FloatBuffer
    let operands: NumberBuffer

    init(_ type: OperandType, count: Int) {
        floats = FloatBuffer(count: count)
        operands = type == .f32 ? .f32(floats) : NumberBuffer(type, count: count)
    }

    /// Rounds a part of the floats into the operands.
    func round(_ range: Range<Int>) {
        guard case .bf16(let buffer) = operands else { return }
        BFloat16.round(floats.base + range.lowerBound, into: buffer.base + range.lowerBound, count: range.count)
    }

    /// Sets all of them to zero.
    func clear() {
        floats.base.update(repeating: 0, count: floats.count)
        operands.clear(0..<operands.count)
    }

    /// Rounds all of them.
    func round() { round(0..<floats.count) }
}

/// One thread's memory of a pass over task streams; how it is used is written at the head of `StreamShape`.
struct StreamBuffers {
    /// The tokens that streams read: for each image of a group and each block (stride, D), rows beyond the context
    /// zero.
    let context: NumberBuffer
    /// For the same tokens the logarithms of their sizes, if tokens are merged, and 0 for a stream's own: (stride).
    private let sizeLogarithms: FloatBuffer
    /// (R, D).
    let tokens: FloatBuffer
    let normalized, query, attended: RoundedBuffer
    /// (R, H, D).
    let keyed, mixed: RoundedBuffer
    /// The rows of `keyed` of one image's streams, (S, H, D).
    let gathered: NumberBuffer
    /// The tokens that are mixed for one image's streams, (S, H, D).
    let imageMixed: FloatBuffer
    /// Of one image, (S, H, stride).
    let scores: FloatBuffer
    let probabilities: NumberBuffer
    /// The scores of each row's own token, and then its probabilities, (R, H).
    let own: FloatBuffer
    /// (R, M).
    let hidden: RoundedBuffer
    /// A gated MLP's up branch, (R, M).
    let up: FloatBuffer
    /// Between the two layers of a change, (B, r) or (B, H, r).
    let changes: NumberBuffer
    /// The same of heads in floats, (B, H, r).
    let headChanges: RoundedBuffer
    /// (R, D).
    let features: FloatBuffer
    let scratch: FloatBuffer

    init(_ shape: StreamShape, rank: Int, scratchCount: Int) {
        let (c, type, r) = (shape.configuration, shape.type, shape.rows)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        context = NumberBuffer(type, count: shape.groupSize * c.layers * shape.contextCount)
        context.clear(0..<context.count)
        sizeLogarithms = FloatBuffer(count: shape.mergesTokens ? shape.groupSize * c.layers * shape.scoreStride : 0)
        sizeLogarithms.base.update(repeating: 0, count: sizeLogarithms.count)
        tokens = FloatBuffer(count: r * d)
        (normalized, query, attended) = (
            RoundedBuffer(type, count: r * d), RoundedBuffer(type, count: r * d), RoundedBuffer(type, count: r * d)
        )
        keyed = RoundedBuffer(type, count: r * c.heads * d)
        mixed = RoundedBuffer(type, count: r * c.heads * d)
        gathered = NumberBuffer(type, count: shape.streams * c.heads * d)
        imageMixed = FloatBuffer(count: shape.streams * c.heads * d)
        scores = FloatBuffer(count: shape.streams * c.heads * shape.scoreStride)
        probabilities = type == .f32 ? .f32(scores) : NumberBuffer(type, count: scores.count)
        own = FloatBuffer(count: r * c.heads)
        hidden = RoundedBuffer(type, count: r * m)
        up = FloatBuffer(count: c.isGated ? r * m : 0)
        changes = NumberBuffer(type, count: shape.groupSize * c.heads * rank)
        headChanges = RoundedBuffer(type, count: shape.groupSize * c.heads * rank)
        features = FloatBuffer(count: r * d)
        for buffer in [normalized, query, attended, keyed, mixed, hidden] { buffer.clear() }
        scratch = FloatBuffer(count: scratchCount)
    }

    /// Clears what the rows of absent images mix: they are computed in vain.
    func clearMixed(from image: Int, _ shape: StreamShape) {
        let width = shape.configuration.heads * shape.configuration.hiddenSize
        for stream in 0..<shape.streams {
            (mixed.floats.base + (stream * shape.groupSize + image) * width)
                .update(repeating: 0, count: (shape.groupSize - image) * width)
        }
    }

    /// Where the logarithms of an image's sizes in a block begin.
    func sizeLogarithms(image: Int, layer: Int, _ shape: StreamShape) -> UnsafeMutablePointer<Float> {
        sizeLogarithms.base + (image * shape.configuration.layers + layer) * shape.scoreStride
    }

    /// Where the context of an image's block begins.
    static func contextOffset(image: Int, layer: Int, _ shape: StreamShape) -> Int {
        (image * shape.configuration.layers + layer) * shape.contextCount
    }
}
