import Compute
import Tensors

/// One thread's forward pass: a planned arena of buffers and the calls that work on it, bound once.
/// Running it takes no memory.
final class ForwardPass {
    private let plan: ForwardPlan
    private let patches: FloatBuffer
    /// The residual stream, (tokens, D).
    private let stream: FloatBuffer
    /// Normalized tokens, then attention's result, (tokens, D).
    private let normalized: FloatBuffer
    /// The buffers that only the calls use.
    private let held: [FloatBuffer]
    private let features: FloatBuffer
    private let logits: FloatBuffer

    private let embed: KernelCall
    private let blocks: [(input: [KernelCall], output: [KernelCall])]
    private let attention: [KernelCall]
    private let finalNorm: KernelCall
    private let heads: KernelCall?

    init(_ plan: ForwardPlan) throws {
        self.plan = plan
        let c = plan.configuration
        let (tokens, d) = (plan.tokens, c.hiddenSize)
        let patches = FloatBuffer(count: plan.patches * c.patchLength)
        let stream = FloatBuffer(count: tokens * d)
        let normalized = FloatBuffer(count: tokens * d)
        let qkv = FloatBuffer(count: tokens * 3 * d)
        let scores = FloatBuffer(count: tokens * tokens)
        let hidden = FloatBuffer(count: tokens * c.intermediateSize)
        let up = FloatBuffer(count: c.usesSwiGLU ? tokens * c.intermediateSize : 0)
        let scratch = FloatBuffer(count: plan.scratchCount)
        (self.patches, self.stream, self.normalized) = (patches, stream, normalized)
        held = [qkv, scores, hidden, up, scratch]
        let features = FloatBuffer(count: c.featureSize)
        let logits = FloatBuffer(count: plan.classes)
        (self.features, self.logits) = (features, logits)

        func call(
            _ linear: ForwardPlan.Linear, _ source: FloatBuffer, _ destination: UnsafeMutablePointer<Float>,
            multiplier: FloatBuffer? = nil
        ) throws -> KernelCall {
            try KernelCall(
                linear.kernel, source: source.base, weights: linear.weights.base, bias: linear.bias?.base,
                multiplier: multiplier?.base, destination: destination, scratch: scratch)
        }
        func normalize(_ norm: ForwardPlan.Norm) throws -> KernelCall {
            try KernelCall(
                plan.norm, source: stream.base, weights: norm.scale.base, bias: norm.shift.base,
                destination: normalized.base, scratch: scratch)
        }
        embed = try call(plan.embedding, patches, stream.base + c.family.prefixTokens * d)
        attention = try (0..<c.heads).flatMap { head in
            let query = qkv.base + head * c.headSize
            return [
                try KernelCall(
                    plan.scores, source: query, weights: query + d, destination: scores.base, scratch: scratch),
                try KernelCall(plan.softmax, source: scores.base, destination: scores.base, scratch: scratch),
                try KernelCall(
                    plan.mix, source: scores.base, weights: query + 2 * d,
                    destination: normalized.base + head * c.headSize, scratch: scratch),
            ]
        }
        blocks = try plan.blocks.map { block in
            let before = [try normalize(block.norm1), try call(block.qkv, normalized, qkv.base)]
            var after = [
                try call(block.attentionOutput, normalized, stream.base), try normalize(block.norm2),
            ]
            if let gate = block.up { after.append(try call(gate, normalized, up.base)) }
            after.append(try call(block.first, normalized, hidden.base, multiplier: up))
            after.append(try call(block.second, hidden, stream.base))
            return (before, after)
        }
        finalNorm = try normalize(plan.finalNorm)
        heads = try plan.heads.map { try call($0, features, logits.base) }
    }

    /// Computes one image.
    ///
    /// - Parameters:
    ///   - input: its patches, (patches, channels · height · width).
    ///   - result: receives the logits of all heads.
    ///   - hidden: receives the tokens after the final layer normalization, (tokens, D), if wanted.
    func run(
        _ input: UnsafePointer<Float>, logits result: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil
    ) throws {
        patches.base.update(from: input, count: patches.count)
        stream.base.update(from: plan.initialTokens.base, count: stream.count)
        try embed.run()
        for block in blocks {
            for call in block.input { try call.run() }
            for call in attention { try call.run() }
            for call in block.output { try call.run() }
        }
        try finalNorm.run()
        hidden?.update(from: normalized.base, count: normalized.count)
        guard let heads, let result else { return }
        gatherFeatures()
        try heads.run()
        result.update(from: logits.base, count: logits.count)
    }

    /// CLS; then DeiT's distillation token, or DINOv2's mean over the patches.
    private func gatherFeatures() {
        let c = plan.configuration
        let d = c.hiddenSize
        switch c.family {
        case .vit, .deit:
            features.base.update(from: normalized.base, count: c.featureSize)
        case .dinov2:
            features.base.update(from: normalized.base, count: d)
            let mean = features.base + d
            mean.update(repeating: 0, count: d)
            for token in c.family.prefixTokens..<plan.tokens {
                let row = normalized.base + token * d
                for channel in 0..<d { mean[channel] += row[channel] }
            }
            let count = Float(plan.patches)
            for channel in 0..<d { mean[channel] /= count }
        }
    }
}
