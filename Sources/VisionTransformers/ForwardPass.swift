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
        let features = FloatBuffer(count: plan.featureSize)
        let logits = FloatBuffer(count: plan.classes)
        (self.features, self.logits) = (features, logits)

        func call(
            _ linear: ForwardPlan.Linear, _ source: FloatBuffer, _ destination: FloatBuffer, offset: Int = 0,
            multiplier: FloatBuffer? = nil
        ) throws -> KernelCall {
            try KernelCall(
                linear.kernel, source: Operand(source), weights: Operand(linear.weights), bias: linear.bias,
                multiplier: multiplier, destination: Operand(destination, offset: offset), scratch: scratch)
        }
        func normalize(_ norm: ForwardPlan.Norm) throws -> KernelCall {
            try KernelCall(
                plan.norm, source: Operand(stream), weights: Operand(norm.scale), bias: norm.shift,
                destination: Operand(normalized), scratch: scratch)
        }
        embed = try call(plan.embedding, patches, stream, offset: c.family.prefixTokens * d)
        attention = try (0..<c.heads).flatMap { head in
            let column = head * c.headSize
            return [
                try KernelCall(
                    plan.scores, source: Operand(qkv, offset: column), weights: Operand(qkv, offset: d + column),
                    destination: Operand(scores), scratch: scratch),
                try KernelCall(plan.softmax, source: Operand(scores), destination: Operand(scores), scratch: scratch),
                try KernelCall(
                    plan.mix, source: Operand(scores), weights: Operand(qkv, offset: 2 * d + column),
                    destination: Operand(normalized, offset: column), scratch: scratch),
            ]
        }
        blocks = try plan.blocks.map { block in
            let before = [try normalize(block.norm1), try call(block.qkv, normalized, qkv)]
            var after = [
                try call(block.attentionOutput, normalized, stream), try normalize(block.norm2),
            ]
            if let gate = block.up { after.append(try call(gate, normalized, up)) }
            after.append(try call(block.first, normalized, hidden, multiplier: up))
            after.append(try call(block.second, hidden, stream))
            return (before, after)
        }
        finalNorm = try normalize(plan.finalNorm)
        heads = try plan.heads.map { try call($0, features, logits) }
    }

    /// Computes one image.
    ///
    /// - Parameters:
    ///   - input: its patches, (patches, channels · height · width).
    ///   - result: receives the logits of all heads.
    ///   - hidden: receives the tokens after the final layer normalization, (tokens, D), if wanted.
    ///   - featuresResult: receives what the heads read, if wanted.
    func run(
        _ input: UnsafePointer<Float>, logits result: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil, features featuresResult: UnsafeMutablePointer<Float>? = nil
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
        guard result != nil || featuresResult != nil else { return }
        gatherFeatures()
        featuresResult?.update(from: features.base, count: features.count)
        guard let heads, let result else { return }
        try heads.run()
        result.update(from: logits.base, count: logits.count)
    }

    /// The parts of the features that are read: prefix tokens, then the mean over the patches.
    private func gatherFeatures() {
        let c = plan.configuration
        let (d, prefix) = (c.hiddenSize, c.family.prefixTokens)
        let tokens = min(plan.featureSize, prefix * d)
        features.base.update(from: normalized.base, count: tokens)
        guard plan.featureSize > tokens else { return }
        let mean = features.base + tokens
        mean.update(repeating: 0, count: d)
        for token in prefix..<plan.tokens {
            let row = normalized.base + token * d
            for channel in 0..<d { mean[channel] += row[channel] }
        }
        let count = Float(plan.patches)
        for channel in 0..<d { mean[channel] /= count }
    }
}
