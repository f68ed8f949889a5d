import Compute
import Tensors

/// One thread's memory of a forward pass, reused by every block and image. T tokens of width D, MLP of width M; how the
/// pass uses them is written at the head of `ForwardPlan`. Where linear layers compute more rows (see `linearRows`),
/// there is room for them.
struct ForwardBuffers {
    /// One image's patches.
    let patches: NumberBuffer
    /// The residual stream, (T, D).
    let stream: FloatBuffer
    /// Normalized tokens, then attention's result, (T, D); then zeros that fill up the last vector of scores.
    let normalized: NumberBuffer
    /// Queries, keys and values, (T, 3D); then zeros for the keys that fill up the last vector of scores.
    let qkv: NumberBuffer
    /// One head's scores, or all heads' of the pooled tokens; rows of `Softmax.stride` elements.
    let scores: FloatBuffer
    /// Softmax of the scores; the same memory in f32.
    let probabilities: NumberBuffer
    /// The result of the MLP's first layer, (T, M); in int8 also the products of queries, keys and values, (T, 3D). In
    /// pooled attention the vectors that scores multiply tokens by, and mixed tokens, (2, heads · R, D).
    let hidden: NumberBuffer
    /// A gated MLP's up branch, (T, M).
    let up: NumberBuffer
    /// Tokens after the final normalization, (T, D); the same memory as `normalized` in f32.
    let final: FloatBuffer
    /// What heads read, and their logits.
    let features, logits: FloatBuffer
    let scratch: FloatBuffer
    /// Of how many patches each token is made, if tokens are merged.
    let sizes: TokenSizes?
    /// The buffers that only int8 needs.
    let int8: Int8Buffers?

    /// Takes the memory.
    ///
    /// - Parameter scratchCount: the largest scratch memory that any kernel needs, in elements.
    init(_ shape: ForwardShape, scratchCount: Int) {
        let (c, t, type) = (shape.configuration, shape.tokens, shape.precision.operandType)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        let isInt8 = shape.precision == .int8
        patches = NumberBuffer(type, count: shape.patches * c.patchLength)
        let linearRows = VisionTransformers.linearRows(t, isNarrow: shape.precision != .f32)
        stream = FloatBuffer(count: linearRows * d)
        stream.base.update(repeating: 0, count: stream.count)
        let stride = Softmax.stride(t)
        normalized = NumberBuffer(type, count: stride * d)
        normalized.clear(t * d..<stride * d)
        // Pooled attention has the rows of all heads at once.
        let rows = max(t, shape.poolsTokens ? c.heads * shape.outputs : 0)
        qkv = NumberBuffer(type, count: stride * 3 * d)
        qkv.clear(t * 3 * d..<stride * 3 * d)
        scores = FloatBuffer(count: rows * stride)
        probabilities = type == .f32 ? .f32(scores) : NumberBuffer(type, count: rows * stride)
        hidden = NumberBuffer(type, count: max(linearRows * (isInt8 ? max(m, 3 * d) : m), 2 * rows * d))
        up = NumberBuffer(type, count: c.isGated ? linearRows * m : 0)
        if case .f32(let memory) = normalized { final = memory } else { final = FloatBuffer(count: t * d) }
        features = FloatBuffer(count: shape.features.featureSize)
        logits = FloatBuffer(count: shape.classes)
        scratch = FloatBuffer(count: scratchCount)
        sizes = shape.mergesTokens ? TokenSizes(tokens: t, headSize: c.headSize) : nil
        int8 = isInt8 ? Int8Buffers(rows: linearRows, width: d, intermediate: m) : nil
    }
}

/// One thread's memory for rows in eight bits.
struct Int8Buffers {
    /// Rows of tokens, (T, D).
    let narrow: Int8.Rows
    /// Rows of the MLP, (T, M).
    let wide: Int8.Rows
    /// Products that are added to the stream.
    let products: FloatBuffer
    /// One row of tokens, and one of the MLP.
    let narrowRow, wideRow: FloatBuffer

    init(rows: Int, width: Int, intermediate: Int) {
        narrow = Int8.Rows(rows: rows, columns: width)
        wide = Int8.Rows(rows: rows, columns: intermediate)
        products = FloatBuffer(count: rows * width)
        narrowRow = FloatBuffer(count: width)
        wideRow = FloatBuffer(count: intermediate)
    }
}
