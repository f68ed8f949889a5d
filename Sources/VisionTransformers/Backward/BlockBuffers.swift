import Compute
import Tensors

/// What one block's forward pass keeps of an image until the backward pass has used it.
///
/// The rule: everything that a gradient is computed from is kept, nothing is computed twice: what each trained or
/// differentiated function reads, and the probabilities of softmax. That is about (8 D + 2 M + heads · T) · T elements
/// a block and thread, whatever the batch. Blocks below the first trained one share a single set.
struct BlockBuffers {
    /// Normalized tokens, (T, D).
    let normalized1: FloatBuffer
    /// Queries, keys and values, (T, 3D).
    let qkv: FloatBuffer
    /// Attention's probabilities, (heads, R, T).
    let probabilities: FloatBuffer
    /// What the heads read by them, (R, D).
    let attended: FloatBuffer
    /// Normalized tokens after attention, (R, D).
    let normalized2: FloatBuffer
    /// Before the activation, (R, M).
    let preactivation: FloatBuffer
    /// After the activation, (R, M); the MLP's hidden values unless it is gated.
    let activated: FloatBuffer
    /// A gated MLP's up branch, (R, M).
    let up: FloatBuffer
    /// What the MLP's second layer reads, (R, M).
    let hidden: FloatBuffer

    init(_ c: BackboneConfiguration, tokens t: Int, outputs r: Int) {
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        normalized1 = FloatBuffer(count: t * d)
        qkv = FloatBuffer(count: t * 3 * d)
        probabilities = FloatBuffer(count: c.heads * r * t)
        attended = FloatBuffer(count: r * d)
        normalized2 = FloatBuffer(count: r * d)
        preactivation = FloatBuffer(count: r * m)
        activated = FloatBuffer(count: r * m)
        up = FloatBuffer(count: c.usesSwiGLU ? r * m : 0)
        hidden = c.usesSwiGLU ? FloatBuffer(count: r * m) : activated
    }
}

/// One thread's memory that is used again by every block: gradients on their way down, and scratch.
struct Workspace {
    /// The gradient of the residual stream, (T, D).
    let stream: FloatBuffer
    /// That of normalized tokens, (T, D).
    let normalized: FloatBuffer
    /// That of queries, keys and values, (T, 3D).
    let qkv: FloatBuffer
    /// That of what attention read, (T, D).
    let attended: FloatBuffer
    /// That of one head's scores, (T, T).
    let scores: FloatBuffer
    /// That of the MLP's hidden values, (T, M).
    let hidden: FloatBuffer
    /// That of a gated MLP's up branch, (T, M).
    let up: FloatBuffer
    /// That of a low-rank module's inner values, (T, largest rank).
    let inner: FloatBuffer
    /// That of a module's input after dropout, as large as the largest.
    let dropped: FloatBuffer
    let scratch: FloatBuffer

    init(_ plan: TrainingPlan) {
        let (c, t) = (plan.configuration, plan.tokens)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        stream = FloatBuffer(count: t * d)
        normalized = FloatBuffer(count: t * d)
        qkv = FloatBuffer(count: t * 3 * d)
        attended = FloatBuffer(count: t * d)
        scores = FloatBuffer(count: t * t)
        hidden = FloatBuffer(count: t * m)
        up = FloatBuffer(count: c.usesSwiGLU ? t * m : 0)
        let ranks = plan.modules.map { if case .lowRank(_, let a, _, _, _) = $0.form { a.shape[0] } else { 0 } }
        inner = FloatBuffer(count: t * (ranks.max() ?? 0))
        dropped = FloatBuffer(count: plan.dropout.probability > 0 ? t * max(d, m) : 0)
        scratch = FloatBuffer(count: plan.scratchCount)
    }
}
