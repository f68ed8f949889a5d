import Compute
import Tensors

/// One thread's forward pass: its buffers, and the steps that are bound to them once. Running it takes no memory but
/// the library's small blocks for each call.
final class ForwardPass {
    private let plan: ForwardPlan
    private let buffers: ForwardBuffers
    private let embedding: ForwardStep
    private let blocks: [[ForwardStep]]
    private let finalNorm: ForwardStep
    private let features: ForwardStep
    private let heads: ForwardStep?
    /// What streams read of each block, if there are any.
    private let contextNorms: [ForwardStep]
    private let streams: StreamPass?
    private let summary: TokenSummary

    init(_ plan: ForwardPlan, streams: StreamPlan? = nil) throws {
        self.plan = plan
        let (shape, buffers) = (plan.shape, ForwardBuffers(plan.shape, scratchCount: plan.scratchCount))
        let (stream, sizes, c) = (buffers.stream, buffers.sizes, shape.configuration)
        self.buffers = buffers
        summary = TokenSummary(
            shape.configuration, patches: shape.tokens(before: shape.configuration.layers - 1) - c.prefix.count)
        let embed = try plan.embedding.call(
            Operand(buffers.patches), Operand(stream, offset: c.prefix.count * c.hiddenSize),
            scratch: buffers.scratch)
        let preNorm = try plan.preNorm.map { try plan.preNormKernel.step($0, buffers, .f32(buffers.final)) }
        embedding = ForwardStep(.embedding) {
            stream.base.update(from: plan.initialTokens.base, count: plan.initialTokens.count)
            sizes?.reset()
            try embed.run()
            guard let preNorm else { return }
            try preNorm.run()
            stream.base.update(from: buffers.final.base, count: shape.tokens * c.hiddenSize)
        }
        blocks = try plan.blocks.map { try $0.flatMap { try $0.steps(buffers) } }
        let (final, count) = (buffers.final, shape.outputs * c.hiddenSize)
        var (tokenNorm, featureNorm): (ForwardStep?, KernelCall?)
        if let norm = plan.finalNorm {
            switch c.anatomy.finalNorm {
            case .tokens: tokenNorm = try plan.finalNormKernel.step(norm, buffers, .f32(final))
            case .features:
                featureNorm = try norm.call(
                    plan.featureNormKernel, buffers.features, .f32(buffers.features), scratch: buffers.scratch)
            case .none: break
            }
        }
        finalNorm = tokenNorm ?? ForwardStep(.normalization) { final.base.update(from: stream.base, count: count) }
        features = ForwardStep(.heads) { [featureNorm] in
            shape.features.gather(final, sizes: sizes?.sizes, into: buffers.features)
            try featureNorm?.run()
        }
        contextNorms =
            try streams.map { streams in
                try zip(streams.contextNormKernels, streams.contextNorms).map {
                    try $0.step($1, buffers, buffers.normalized)
                }
            } ?? []
        self.streams = try streams.map { try StreamPass($0) }
        heads = try plan.heads.map {
            ForwardStep(
                .heads,
                try $0.call(Operand(buffers.features), Operand(buffers.logits), scratch: buffers.scratch))
        }
    }

    /// Computes one image.
    ///
    /// - Parameters:
    ///   - input: its patches, (patches, channels · height · width).
    ///   - result: receives the logits of all heads, or nil.
    ///   - hiddenResult: receives the tokens after the final layer normalization, (tokens, D), if the plan computes
    ///     them.
    ///   - featuresResult: receives the features, or nil.
    ///   - summaryResult: receives the summary of what the last block reads (see `TokenSummary`), or nil.
    ///   - observer: receives the inputs of the layers, or nil.
    ///   - around: runs each step, to measure it, or nil.
    func run(
        _ input: UnsafePointer<Float>, logits result: UnsafeMutablePointer<Float>?,
        hidden hiddenResult: UnsafeMutablePointer<Float>? = nil,
        features featuresResult: UnsafeMutablePointer<Float>? = nil,
        summary summaryResult: UnsafeMutablePointer<Float>? = nil,
        observer: ((_ layer: Int, _ site: LayerSite, _ inputs: NumberBuffer) -> Void)? = nil,
        around: ((ForwardStage, () throws -> Void) throws -> Void)? = nil
    ) throws {
        func run(_ step: ForwardStep) throws {
            if let around { try around(step.stage, step.run) } else { try step.run() }
        }
        buffers.patches.set(input)
        try run(embedding)
        for (layer, steps) in blocks.enumerated() {
            if let summaryResult, layer == blocks.count - 1 {
                summary.write(buffers.stream, sizes: buffers.sizes?.sizes, into: summaryResult)
            }
            for step in steps {
                try run(step)
                if let observer, let input = step.layerInput { observer(layer, input.site, input.buffer) }
            }
        }
        try run(finalNorm)
        hiddenResult?.update(
            from: buffers.final.base, count: plan.shape.tokens * plan.shape.configuration.hiddenSize)
        guard result != nil || featuresResult != nil else { return }
        try run(features)
        featuresResult?.update(from: buffers.features.base, count: buffers.features.count)
        guard let heads, let result else { return }
        try run(heads)
        result.update(from: buffers.logits.base, count: buffers.logits.count)
    }

    /// Computes what streams read of an image, and records it as one of a group of images.
    ///
    /// - Parameters:
    ///   - input: its patches.
    ///   - position: its position in the group.
    ///   - summaryResult: receives the summary of what the last block reads, or nil.
    func record(
        _ input: UnsafePointer<Float>, as position: Int, summary summaryResult: UnsafeMutablePointer<Float>? = nil,
        around: ((ForwardStage, () throws -> Void) throws -> Void)? = nil
    ) throws {
        guard let streams else { return }
        func run(_ step: ForwardStep) throws {
            if let around { try around(step.stage, step.run) } else { try step.run() }
        }
        buffers.patches.set(input)
        try run(embedding)
        for (layer, norm) in contextNorms.enumerated() {
            try run(norm)
            try run(
                ForwardStep(.streams) { [buffers] in
                    streams.record(buffers.normalized, buffers.sizes, image: position, layer: layer)
                })
            guard layer < blocks.count else { continue }
            for step in blocks[layer] { try run(step) }
        }
        if let summaryResult { summary.write(buffers.stream, sizes: buffers.sizes?.sizes, into: summaryResult) }
    }

    /// Computes the streams of the images that are recorded; see `StreamPass.run`.
    func runStreams(
        images: Int, logits: UnsafeMutablePointer<Float>?, features: UnsafeMutablePointer<Float>?
    ) throws {
        try streams?.run(images: images, logits: logits, features: features)
    }
}
