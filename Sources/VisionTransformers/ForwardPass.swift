import Compute
import Tensors

/// One thread's forward pass: a planned arena of buffers and the calls that work on it, bound once.
/// Running it takes no memory.
final class ForwardPass {
    /// The calls of a transformer block, between the places where its layers read.
    private struct Block {
        let norm1: KernelCall
        let qkv: KernelCall
        let attentionOutput: KernelCall
        let norm2: KernelCall
        let first: [KernelCall]
        let second: KernelCall
    }

    private let plan: ForwardPlan
    private let patches: FloatBuffer
    /// The residual stream, (tokens, D).
    private let stream: FloatBuffer
    /// Normalized tokens, then attention's result, (tokens, D).
    private let normalized: FloatBuffer
    /// The MLP's first layer's result, (tokens, intermediate).
    private let hidden: FloatBuffer
    private let features: FloatBuffer
    private let logits: FloatBuffer

    private let embed: KernelCall
    private let blocks: [Block]
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
        (self.patches, self.stream, self.normalized, self.hidden) = (patches, stream, normalized, hidden)
        let features = FloatBuffer(count: plan.layout.featureSize)
        let logits = FloatBuffer(count: plan.classes)
        (self.features, self.logits) = (features, logits)

        func call(
            _ linear: ForwardPlan.Linear, _ source: FloatBuffer, _ destination: FloatBuffer, offset: Int = 0,
            multiplier: FloatBuffer? = nil
        ) throws -> KernelCall {
            try KernelCall(
                linear.kernel, source: Operand(source), weights: Operand(linear.weights), bias: linear.bias,
                multiplier: multiplier.map { Operand($0) }, destination: Operand(destination, offset: offset),
                scratch: scratch)
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
            var first = [try call(block.first, normalized, hidden, multiplier: up)]
            if let branch = block.up { first.insert(try call(branch, normalized, up), at: 0) }
            return Block(
                norm1: try normalize(block.norm1), qkv: try call(block.qkv, normalized, qkv),
                attentionOutput: try call(block.attentionOutput, normalized, stream),
                norm2: try normalize(block.norm2), first: first, second: try call(block.second, hidden, stream))
        }
        finalNorm = try normalize(plan.finalNorm)
        heads = try plan.heads.map { try call($0, features, logits) }
    }

    /// Computes one image.
    ///
    /// - Parameters:
    ///   - input: its patches, (patches, channels · height · width).
    ///   - result: receives the logits of all heads.
    ///   - hiddenResult: receives the tokens after the final layer normalization, (tokens, D), if wanted.
    ///   - featuresResult: receives what the heads read, if wanted.
    ///   - observer: sees what the layers read, if wanted.
    func run(
        _ input: UnsafePointer<Float>, logits result: UnsafeMutablePointer<Float>?,
        hidden hiddenResult: UnsafeMutablePointer<Float>? = nil,
        features featuresResult: UnsafeMutablePointer<Float>? = nil,
        observer: ((_ layer: Int, _ place: LayerInput.Place, _ inputs: FloatBuffer) -> Void)? = nil
    ) throws {
        patches.base.update(from: input, count: patches.count)
        stream.base.update(from: plan.initialTokens.base, count: stream.count)
        try embed.run()
        for (layer, block) in blocks.enumerated() {
            try block.norm1.run()
            observer?(layer, .attentionInput, normalized)
            try block.qkv.run()
            for call in attention { try call.run() }
            observer?(layer, .attentionOutput, normalized)
            try block.attentionOutput.run()
            try block.norm2.run()
            observer?(layer, .mlpInput, normalized)
            for call in block.first { try call.run() }
            observer?(layer, .mlpHidden, hidden)
            try block.second.run()
        }
        try finalNorm.run()
        hiddenResult?.update(from: normalized.base, count: normalized.count)
        guard result != nil || featuresResult != nil else { return }
        plan.layout.gather(normalized, into: features)
        featuresResult?.update(from: features.base, count: features.count)
        guard let heads, let result else { return }
        try heads.run()
        result.update(from: logits.base, count: logits.count)
    }
}
