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
    private let finalNorm: KernelCall
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
        finalNorm = try plan.finalNorm.call(
            plan.finalNormKernel, last, .f32(normalized), scratch: workspace.scratch)
        features = FloatBuffer(count: plan.layout.featureSize)
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
        try finalNorm.run()
        plan.layout.gather(normalized, into: features)
    }

    private func embed(_ input: UnsafePointer<Float>) throws {
        patches.base.update(from: input, count: patches.count)
        stream.base.update(from: plan.initialTokens.base, count: stream.count)
        try embedding.run()
    }

    /// Computes the tokens that each block's attention reads, and nothing more of the last block.
    ///
    /// - Parameters:
    ///   - input: an image's patches.
    ///   - read: receives the tokens of each block but the first, (T, D).
    func forwardTokens(
        _ input: UnsafePointer<Float>, read: (_ layer: Int, _ tokens: FloatBuffer) throws -> Void = { _, _ in }
    ) throws {
        try embed(input)
        for (layer, block) in blocks.enumerated() {
            if layer < blocks.count - 1 {
                try block.attention.forward(nil)
            } else {
                try block.attention.normalize()
            }
            // The first block reads the same tokens whatever is trained.
            if layer > 0, case .f32(let tokens) = block.attention.reading.tokens { try read(layer, tokens) }
            if layer < blocks.count - 1 { try block.mlp.forward(nil) }
        }
    }

    /// Adds the gradients of the last image of `forwardTokens`.
    ///
    /// - Parameter loss: adds the gradient by the tokens that a block's attention reads, (T, D).
    func backwardTokens(
        loss: (_ layer: Int, _ tokens: FloatBuffer, _ gradient: FloatBuffer) throws -> Void
    ) throws {
        for (layer, block) in blocks.enumerated().reversed() {
            func add() throws {
                guard layer > 0, case (.f32(let tokens), let gradient) = block.attention.reading else { return }
                try loss(layer, tokens, gradient)
            }
            guard layer < blocks.count - 1 else {
                try block.attention.backward(fromReading: add)
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
        plan.layout.scatter(featureGradient, into: workspace.normalized)
        workspace.stream.base.update(repeating: 0, count: rows * c.hiddenSize)
        RowKernels.addLayerNormBackward(
            input: last.base, scale: plan.finalNorm.scale.base, epsilon: c.layerNormEpsilon,
            gradient: workspace.normalized.base, to: workspace.stream.base, rows: rows, columns: c.hiddenSize)
        for (layer, block) in blocks.enumerated().reversed() {
            guard plan.lowest <= ModuleSite.depth(layer, .mlpHidden) else { return }
            try block.mlp.backward(key)
            guard plan.lowest <= ModuleSite.depth(layer, .attentionOutput) else { return }
            try block.attention.backward(key)
        }
    }
}
