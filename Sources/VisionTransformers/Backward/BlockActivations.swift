import Compute
import Tensors

/// What one block's forward pass keeps of an image until the backward pass has used it.
///
/// The rule: everything that a gradient is computed from is kept, nothing is computed twice: what each trained or
/// differentiated function reads, and the probabilities of softmax. That is about (8 D + 2 M + heads · T) · T elements
/// a block and thread in the precision of products, whatever the batch. Blocks below the first trained one share a single
/// set.
struct BlockActivations {
    /// Normalized tokens, (T, D).
    let normalized1: NumberBuffer
    /// Queries, keys and values, (T, 3D); then zeros for the keys that are missing to whole vectors of scores.
    let qkv: NumberBuffer
    /// Attention's probabilities, (heads, R, T).
    let probabilities: NumberBuffer
    /// What the heads read by them, (R, D).
    let attended: NumberBuffer
    /// Normalized tokens after attention, (R, D).
    let normalized2: NumberBuffer
    /// Before the activation, (R, M).
    let preactivation: NumberBuffer
    /// After the activation, (R, M); the MLP's hidden values unless it is gated.
    let activated: NumberBuffer
    /// A gated MLP's up branch, (R, M).
    let up: NumberBuffer
    /// What the MLP's second layer reads, (R, M).
    let hidden: NumberBuffer

    init(_ c: BackboneConfiguration, tokens t: Int, outputs r: Int, precision: OperandType) {
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        func buffer(_ count: Int) -> NumberBuffer { NumberBuffer(precision, count: count) }
        normalized1 = buffer(t * d)
        let padded = Softmax.stride(t)
        qkv = buffer(padded * 3 * d)
        qkv.clear(t * 3 * d..<padded * 3 * d)
        probabilities = buffer(c.heads * r * t)
        attended = buffer(r * d)
        normalized2 = buffer(r * d)
        preactivation = buffer(r * m)
        activated = buffer(r * m)
        up = buffer(c.usesSwiGLU ? r * m : 0)
        hidden = c.usesSwiGLU ? buffer(r * m) : activated
    }
}

/// One thread's memory that is used again by every block: gradients on their way down, and scratch.
struct Workspace {
    /// The gradient of the residual stream, (T, D).
    let stream: FloatBuffer
    /// The same as products read it; the same memory in f32.
    let streamOperand: NumberBuffer
    /// That of normalized tokens, (T, D); on the way forward the tokens themselves, before they are rounded.
    let normalized: FloatBuffer
    /// That of queries, keys and values, (T, 3D).
    let qkv: NumberBuffer
    /// That of what attention read, (T, D).
    let attended: NumberBuffer
    /// That of one head's probabilities, (T, T); on the way forward its scores, in rows of `Softmax.stride` elements.
    let scores: FloatBuffer
    /// That of its scores; the same memory in f32.
    let scoresOperand: NumberBuffer
    /// That of the MLP's hidden values, (T, M).
    let hidden: NumberBuffer
    /// That of a gated MLP's up branch, (T, M).
    let up: NumberBuffer
    /// That of a low-rank module's inner values, (T, largest rank).
    let inner: NumberBuffer
    /// That of a module's input after dropout, as large as the largest; on the way forward that input.
    let dropped: FloatBuffer
    let scratch: FloatBuffer

    init(_ plan: TrainingPlan) {
        let (c, t) = (plan.configuration, plan.tokens)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        func buffer(_ count: Int) -> NumberBuffer { NumberBuffer(plan.precision, count: count) }
        /// What products read of f32 memory.
        func operand(_ memory: FloatBuffer) -> NumberBuffer {
            plan.precision == .f32 ? .f32(memory) : buffer(memory.count)
        }
        stream = FloatBuffer(count: t * d)
        streamOperand = operand(stream)
        normalized = FloatBuffer(count: t * d)
        qkv = buffer(t * 3 * d)
        attended = buffer(t * d)
        scores = FloatBuffer(count: t * Softmax.stride(t))
        scoresOperand = operand(scores)
        hidden = buffer(t * m)
        up = buffer(c.usesSwiGLU ? t * m : 0)
        let ranks = plan.modules.map { if case .lowRank(_, let own) = $0.form { own.a.shape[0] } else { 0 } }
        inner = buffer(t * (ranks.max() ?? 0))
        dropped = FloatBuffer(count: plan.dropout.probability > 0 ? t * max(d, m) : 0)
        scratch = FloatBuffer(count: plan.scratchCount)
    }
}
