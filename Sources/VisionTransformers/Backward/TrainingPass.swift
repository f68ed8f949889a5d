import Compute
import Tensors

/// One thread's forward pass, which keeps the activations that the backward pass needs, and that backward pass; both
/// planned once. Running them takes no memory but the library's small blocks for each call.
final class TrainingPass {
    private let plan: TrainingPlan
    private let patches: FloatBuffer
    /// The residual stream as it enters the first block.
    private let stream: FloatBuffer
    private let embedding: KernelCall
    private let blocks: [(attention: AttentionPass, mlp: MLPPass)]
    /// The residual stream after the last block, its first tokens, and the same normalized.
    private let last: FloatBuffer
    private let normalized: FloatBuffer
    /// The final normalization of tokens, or of the pooled ones; nil where there is none.
    private let tokenNorm, featureNorm: KernelCall?
    /// The mean of tokens before it is normalized, in families that pool first.
    private let pooled: FloatBuffer
    private let preNorm: KernelCall?
    private let workspace: Workspace
    /// The features, after `forward`.
    let features: FloatBuffer
    /// The loss's gradient by the features, before `backward`.
    let featureGradient: FloatBuffer
    /// The sum of the gradients of all images since it was cleared.
    let gradients: GradientBuffer

    init(_ plan: TrainingPlan, layout: GradientLayout) throws {
        self.plan = plan
        let c = plan.configuration
        let (t, d) = (plan.tokens, c.hiddenSize)
        let workspace = Workspace(plan)
        let gradients = GradientBuffer(layout)
        (self.workspace, self.gradients) = (workspace, gradients)
        patches = FloatBuffer(count: plan.patches * c.patchLength)
        let stream = FloatBuffer(count: t * d)
        self.stream = stream
        embedding = try plan.embedding.call(
            Operand(patches), Operand(stream, offset: c.prefix.count * d), scratch: workspace.scratch)
        let shared = BlockActivations(c, tokens: t, outputs: t, precision: plan.precision)
        var input = stream
        blocks = try plan.blocks.enumerated().map { layer, block in
            let outputs = block.kernels.outputs
            let isTrained = plan.lowest <= ModuleSite.depth(layer, .mlpHidden)
            let activations =
                isTrained || outputs < t
                ? BlockActivations(c, tokens: t, outputs: outputs, precision: plan.precision) : shared
            let middle = FloatBuffer(count: outputs * d)
            let output = FloatBuffer(count: outputs * d)
            defer { input = output }
            return (
                attention: try AttentionPass(
                    block, plan: plan, input: input, output: middle, activations: activations, gradients: gradients,
                    workspace: workspace),
                mlp: try MLPPass(
                    block, plan: plan, input: middle, output: output, activations: activations, gradients: gradients,
                    workspace: workspace)
            )
        }
        last = input
        normalized = FloatBuffer(count: plan.layout.tokens * d)
        features = FloatBuffer(count: plan.layout.featureSize)
        pooled = c.anatomy.finalNorm == .features ? FloatBuffer(count: plan.layout.featureSize) : features
        preNorm = try plan.preNorm?.call(
            plan.preNormKernel, stream, .f32(workspace.normalized), scratch: workspace.scratch)
        tokenNorm =
            c.anatomy.finalNorm == .tokens
            ? try plan.finalNorm?.call(
                plan.finalNormKernel, last, .f32(normalized), scratch: workspace.scratch) : nil
        featureNorm =
            c.anatomy.finalNorm == .features
            ? try plan.finalNorm?.call(
                plan.featureNormKernel, pooled, .f32(features), scratch: workspace.scratch) : nil
        featureGradient = FloatBuffer(count: plan.layout.featureSize)
    }

    /// Computes one image's features.
    ///
    /// - Parameters:
    ///   - input: its patches, (patches, channels · height · width).
    ///   - key: the key of the image's dropout, nil for none.
    func forward(_ input: UnsafePointer<Float>, key: UInt64?) throws {
        try embed(input)
        for block in blocks {
            try block.attention.forward(key)
            try block.mlp.forward(key)
        }
        try tokenNorm?.run()
        plan.layout.gather(tokenNorm == nil ? last : normalized, into: pooled)
        try featureNorm?.run()
    }

    private func embed(_ input: UnsafePointer<Float>) throws {
        patches.base.update(from: input, count: patches.count)
        stream.base.update(from: plan.initialTokens.base, count: stream.count)
        try embedding.run()
        guard let preNorm else { return }
        try preNorm.run()
        stream.base.update(from: workspace.normalized.base, count: stream.count)
    }

    /// Computes the tokens that each block's attention reads, and nothing more of the last block.
    ///
    /// - Parameters:
    ///   - input: an image's patches.
    ///   - read: receives the tokens of each block but the first, (T, D).
    func forwardTokens(
        _ input: UnsafePointer<Float>,
        read: (_ layer: Int, _ tokens: UnsafePointer<Float>) throws -> Void = { _, _ in }
    ) throws {
        try embed(input)
        for (layer, block) in blocks.enumerated() {
            if layer < blocks.count - 1 {
                try block.attention.forward(nil)
            } else {
                try block.attention.normalize()
            }
            // The first block reads the same tokens whatever is trained.
            if layer > 0 { try read(layer, block.attention.tokens) }
            if layer < blocks.count - 1 { try block.mlp.forward(nil) }
        }
    }

    /// Adds the gradients of the last image of `forwardTokens`.
    ///
    /// - Parameter loss: adds the gradient by the tokens that a block's attention reads, (T, D).
    func backwardTokens(
        loss: (_ layer: Int, _ tokens: UnsafePointer<Float>, _ gradient: FloatBuffer) throws -> Void
    ) throws {
        for (layer, block) in blocks.enumerated().reversed() {
            func add() throws {
                guard layer > 0 else { return }
                try loss(layer, block.attention.tokens, block.attention.tokenGradient)
            }
            guard layer < blocks.count - 1 else {
                try block.attention.backward(fromTokens: add)
                continue
            }
            guard plan.lowest <= ModuleSite.depth(layer, .mlpHidden) else { return }
            try block.mlp.backward(nil)
            guard plan.lowest <= ModuleSite.depth(layer, .attentionOutput) else { return }
            try block.attention.backward(nil, adding: add)
        }
    }

    /// Adds the gradients of the last image of `forward`, from `featureGradient`.
    ///
    /// - Parameter key: as in `forward`.
    func backward(key: UInt64?) throws {
        let (c, rows) = (plan.configuration, plan.layout.tokens)
        func normBackward(
            _ norm: LayerNorm, _ input: FloatBuffer, _ gradient: FloatBuffer, _ result: FloatBuffer, rows: Int
        ) {
            result.base.update(repeating: 0, count: rows * c.hiddenSize)
            RowKernels.addLayerNormBackward(
                input: input.base, scale: norm.scale.base, epsilon: c.layerNormEpsilon, gradient: gradient.base,
                to: result.base, rows: rows, columns: c.hiddenSize)
        }
        switch (c.anatomy.finalNorm, plan.finalNorm) {
        case (.tokens, let norm?):
            plan.layout.scatter(featureGradient, into: workspace.normalized)
            normBackward(norm, last, workspace.normalized, workspace.stream, rows: rows)
        case (.features, let norm?):
            normBackward(norm, pooled, featureGradient, workspace.normalized, rows: 1)
            plan.layout.scatter(workspace.normalized, into: workspace.stream)
        default: plan.layout.scatter(featureGradient, into: workspace.stream)
        }
        for (layer, block) in blocks.enumerated().reversed() {
            guard plan.lowest <= ModuleSite.depth(layer, .mlpHidden) else { return }
            try block.mlp.backward(key)
            guard plan.lowest <= ModuleSite.depth(layer, .attentionOutput) else { return }
            try block.attention.backward(key)
        }
    }
}
