import Compute
import Tensors

/// One thread's memory of a forward pass, used again by every block and image. T tokens, D wide; MLP M wide.
struct ForwardBuffers {
    /// One image's patches.
    let patches: NumberBuffer
    /// The residual stream, (T, D).
    let stream: FloatBuffer
    /// Normalized tokens, then attention's result, (T, D); then zeros for the tokens that are missing to whole vectors of scores.
    let normalized: NumberBuffer
    /// Queries, keys and values, (T, 3D); then zeros for the keys that are missing to whole vectors of scores.
    let qkv: NumberBuffer
    /// One head's scores, or all heads' of the tokens that are read; rows of `Softmax.stride` elements.
    let scores: FloatBuffer
    /// Softmax of the scores; the same memory in f32.
    let probabilities: NumberBuffer
    /// The MLP's first layer's result, (T, M); in int8 also the products of queries, keys and values, (T, 3D). Where few tokens
    /// are read, what all heads multiply tokens by, and tokens that they have mixed, (2, heads · read, D).
    let hidden: NumberBuffer
    /// A gated MLP's up branch, (T, M).
    let up: NumberBuffer
    /// Tokens after the final normalization, (T, D); the same memory as `normalized` in f32.
    let final: FloatBuffer
    /// What heads read, and their logits.
    let features, logits: FloatBuffer
    let scratch: FloatBuffer
    /// What int8 needs.
    let int8: Int8Buffers?

    init(_ plan: ForwardPlan) {
        let (c, t, p) = (plan.configuration, plan.tokens, plan.precision.stored)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        patches = NumberBuffer(p, count: plan.patches * c.patchLength)
        stream = FloatBuffer(count: t * d)
        let stride = Softmax.stride(t)
        normalized = NumberBuffer(p, count: stride * d)
        normalized.clear(t * d..<stride * d)
        // Rows of all heads at once, where few tokens are read.
        let rows = max(t, plan.read < t ? c.heads * plan.read : 0)
        qkv = NumberBuffer(p, count: stride * 3 * d)
        qkv.clear(t * 3 * d..<stride * 3 * d)
        scores = FloatBuffer(count: rows * stride)
        probabilities = p == .f32 ? .f32(scores) : NumberBuffer(p, count: rows * stride)
        hidden = NumberBuffer(p, count: max(t * (plan.precision == .int8 ? max(m, 3 * d) : m), 2 * rows * d))
        up = NumberBuffer(p, count: c.usesSwiGLU ? t * m : 0)
        if case .f32(let memory) = normalized { final = memory } else { final = FloatBuffer(count: t * d) }
        features = FloatBuffer(count: plan.layout.featureSize)
        logits = FloatBuffer(count: plan.classes)
        scratch = FloatBuffer(count: plan.scratchCount)
        int8 = plan.precision == .int8 ? Int8Buffers(tokens: t, width: d, intermediate: m) : nil
    }

    /// Binds a linear layer to its input and the place of its output.
    func call(
        _ linear: ForwardPlan.Linear, _ source: NumberBuffer, _ destination: Operand, multiplier: NumberBuffer? = nil
    ) throws -> KernelCall {
        try KernelCall(
            linear.kernel, source: Operand(source), weights: Operand(linear.weights), bias: linear.bias,
            multiplier: multiplier.map { Operand($0) }, destination: destination, scratch: scratch)
    }

    /// The same as a step.
    func step(
        _ linear: ForwardPlan.Linear, _ source: NumberBuffer, _ destination: Operand, multiplier: NumberBuffer? = nil
    ) throws -> ForwardStep {
        let call = try call(linear, source, destination, multiplier: multiplier)
        return ForwardStep(.linear) { try call.run() }
    }
}

/// One thread's memory for quantised rows.
struct Int8Buffers {
    /// Rows of tokens, (T, D).
    let narrow: Int8.Rows
    /// Rows of the MLP, (T, M).
    let wide: Int8.Rows
    /// Products that are added to the stream, (T, D).
    let products: FloatBuffer
    /// One row of tokens, and one of the MLP.
    let narrowRow, wideRow: FloatBuffer

    init(tokens: Int, width: Int, intermediate: Int) {
        narrow = Int8.Rows(rows: tokens, columns: width)
        wide = Int8.Rows(rows: tokens, columns: intermediate)
        products = FloatBuffer(count: tokens * width)
        narrowRow = FloatBuffer(count: width)
        wideRow = FloatBuffer(count: intermediate)
    }
}
