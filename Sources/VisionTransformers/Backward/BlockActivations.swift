import Compute
import Tensors

/// The activations of one block for one image, kept until the backward pass has used them.
///
/// All values that a gradient is computed from are kept, so nothing is computed twice: the inputs of each trained or
/// differentiated function, and the probabilities of softmax. That is about (8 D + 2 M + heads · T) · T elements per
/// block and thread in the type of operands, whatever the batch. Blocks below the first trained one share a single set.
struct BlockActivations {
    /// Normalized tokens, (T, D).
    let normalized1: NumberBuffer
    /// Queries, keys and values, (T, 3D); then zeros for the keys that fill up the last vector of scores.
    let qkv: NumberBuffer
    /// Attention's probabilities, (heads, R, T).
    let probabilities: NumberBuffer
    /// The values that heads mix by them, (R, D).
    let attended: NumberBuffer
    /// Normalized tokens after attention, (R, D).
    let normalized2: NumberBuffer
    /// Before the activation, (R, M).
    let preactivation: NumberBuffer
    /// After the activation, (R, M); the MLP's hidden values unless it is gated.
    let activated: NumberBuffer
    /// A gated MLP's up branch, (R, M).
    let up: NumberBuffer
    /// The input of the MLP's second layer, (R, M).
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
        up = buffer(c.isGated ? r * m : 0)
        hidden = c.isGated ? buffer(r * m) : activated
    }
}

/// One thread's memory that all blocks share: gradients on their way down, and scratch. The properties are gradients by
/// the values that they name.
struct Workspace {
    /// By the residual stream, (T, D).
    let stream: FloatBuffer
    /// The same as an operand of products; the same memory in f32.
    let streamOperand: NumberBuffer
    /// By normalized tokens, (T, D); in the forward pass the tokens themselves, before they are rounded.
    let normalized: FloatBuffer
    /// Normalized tokens that were rounded, as f32, (T, D); empty in f32.
    let widened: FloatBuffer
    /// By queries, keys and values, (T, 3D).
    let qkv: NumberBuffer
    /// By the values that attention mixed, (T, D).
    let attended: NumberBuffer
    /// By one head's probabilities, (T, T); in the forward pass its scores, in rows of `Softmax.stride` elements.
    let scores: FloatBuffer
    /// By its scores; the same memory in f32.
    let scoresOperand: NumberBuffer
    /// By the MLP's hidden values, (T, M).
    let hidden: NumberBuffer
    /// By a gated MLP's up branch, (T, M).
    let up: NumberBuffer
    /// By a low-rank module's inner values, (T, largest rank).
    let inner: NumberBuffer
    /// By a module's input after dropout, as large as the largest; in the forward pass that input.
    let dropped: FloatBuffer
    let scratch: FloatBuffer

    init(_ plan: TrainingPlan) {
        let (c, t) = (plan.configuration, plan.tokens)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        func buffer(_ count: Int) -> NumberBuffer { NumberBuffer(plan.precision, count: count) }
        /// Memory for f32 values as operands of products.
        func operand(_ memory: FloatBuffer) -> NumberBuffer {
            plan.precision == .f32 ? .f32(memory) : buffer(memory.count)
        }
        stream = FloatBuffer(count: t * d)
        streamOperand = operand(stream)
        normalized = FloatBuffer(count: t * d)
        widened = FloatBuffer(count: plan.precision == .f32 ? 0 : t * d)
        qkv = buffer(t * 3 * d)
        attended = buffer(t * d)
        scores = FloatBuffer(count: t * Softmax.stride(t))
        scoresOperand = operand(scores)
        hidden = buffer(t * m)
        up = buffer(c.isGated ? t * m : 0)
        let ranks = plan.modules.map { if case .lowRank(_, let factors) = $0.form { factors.a.shape[0] } else { 0 } }
        inner = buffer(t * (ranks.max() ?? 0))
        dropped = FloatBuffer(count: plan.dropout.probability > 0 ? t * max(d, m) : 0)
        scratch = FloatBuffer(count: plan.scratchCount)
    }
}
