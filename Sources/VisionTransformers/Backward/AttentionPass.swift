import Compute
import Tensors

/// One thread's calls for the first half of a block: `output = input + attention(norm(input))`, for the first R tokens.
final class AttentionPass {
    private let c: BackboneConfiguration
    private let block: TrainingPlan.Block
    private let rotary: Rotary?
    private let input: FloatBuffer
    private let output: FloatBuffer
    private let activations: BlockActivations
    private let workspace: Workspace
    private let norm: KernelCall
    private let qkv: LayerPass
    /// For each head: the call for its scores, and the call that mixes values by their probabilities.
    private let heads: [(scores: KernelCall, mix: KernelCall)]
    private let projection: LayerPass
    /// For each head: the calls before softmax's backward pass, and the calls after it.
    private let headsBackward: [(beforeSoftmax: [KernelCall], afterSoftmax: [KernelCall])]

    init(
        _ block: TrainingPlan.Block, plan: TrainingPlan, input: FloatBuffer, output: FloatBuffer,
        activations: BlockActivations, gradients: GradientBuffer, workspace w: Workspace
    ) throws {
        let c = plan.configuration
        let kernels = block.kernels
        (self.c, self.block, self.input, self.output, self.activations) = (c, block, input, output, activations)
        (workspace, rotary) = (w, plan.rotary)
        let (d, scratch) = (c.hiddenSize, w.scratch)
        norm = try block.norm1.call(
            kernels.norm1, input, plan.precision == .f32 ? activations.normalized1 : .f32(w.normalized),
            scratch: w.scratch)
        qkv = try LayerPass(
            block.qkv,
            LayerBuffers(
                input: activations.normalized1, output: activations.qkv, outputGradient: w.qkv,
                inputGradient: .f32(w.normalized)),
            plan: plan, gradients: gradients, workspace: w)
        projection = try LayerPass(
            block.attentionOutput,
            LayerBuffers(
                input: activations.attended, output: .f32(output), outputGradient: w.streamOperand,
                inputGradient: w.attended),
            plan: plan, gradients: gradients, workspace: w)
        let probabilities = (0..<c.heads).map {
            Operand(activations.probabilities, offset: $0 * kernels.outputs * kernels.tokens)
        }
        func call(_ kernel: Kernel, _ source: Operand, _ other: Operand?, _ destination: Operand) throws -> KernelCall {
            try KernelCall(kernel, source: source, weights: other, destination: destination, scratch: scratch)
        }
        /// Query (0), key (1) or value (2) of a head in (T, 3D).
        func part(_ buffer: NumberBuffer, _ number: Int, _ head: Int) -> Operand {
            Operand(buffer, offset: number * d + head * c.headSize)
        }
        heads = try (0..<c.heads).map { head in
            let p = probabilities[head]
            return (
                scores: try call(
                    kernels.scores, part(activations.qkv, 0, head), part(activations.qkv, 1, head), Operand(w.scores)),
                mix: try call(kernels.mix, p, part(activations.qkv, 2, head), part(activations.attended, 0, head))
            )
        }
        guard block.attentionOutput.backward != nil else {
            headsBackward = []
            return
        }
        headsBackward = try (0..<c.heads).map { head in
            let (p, gradient, scores) = (probabilities[head], part(w.attended, 0, head), Operand(w.scoresOperand))
            return (
                beforeSoftmax: [
                    try call(kernels.valueGradient, p, gradient, part(w.qkv, 2, head)),
                    try call(kernels.probabilityGradient, gradient, part(activations.qkv, 2, head), Operand(w.scores)),
                ],
                afterSoftmax: [
                    try call(kernels.queryGradient, scores, part(activations.qkv, 1, head), part(w.qkv, 0, head)),
                    try call(kernels.keyGradient, scores, part(activations.qkv, 0, head), part(w.qkv, 1, head)),
                ]
            )
        }
    }

    /// Computes the tokens that attention reads.
    func normalize() throws {
        try norm.run()
        activations.normalized1.round(workspace.normalized.base, count: activations.normalized1.count)
    }

    /// Computes the half for one image.
    func forward(_ key: UInt64?) throws {
        try normalize()
        try qkv.forward(key)
        rotary?.apply(to: activations.qkv, row: c.prefix.count, stride: 3 * c.hiddenSize, heads: 2 * c.heads)
        let (t, r) = (block.kernels.tokens, block.kernels.outputs)
        for (head, calls) in heads.enumerated() {
            try calls.scores.run()
            if let bias = block.scoreBias {
                let count = bias.count / c.heads
                RowKernels.add(bias.base + head * count, to: workspace.scores.base, count: count)
            }
            Softmax.apply(
                workspace.scores, into: activations.probabilities, at: head * r * t, rows: r, columns: t,
                resultStride: t)
            try calls.mix.run()
        }
        output.base.update(from: input.base, count: output.count)
        try projection.forward(key)
    }

    /// The tokens that attention reads, (T, D), after `normalize`; valid until other tokens are asked for.
    var tokens: UnsafePointer<Float> {
        activations.normalized1.floats(count: activations.normalized1.count, widenedInto: workspace.widened)
    }

    /// The memory for the gradient by these tokens.
    var tokenGradient: FloatBuffer { workspace.normalized }

    /// Takes the gradient by the output to that by the input, in the workspace's stream, as far down as modules are
    /// trained.
    ///
    /// - Parameter add: adds to `tokenGradient`.
    func backward(_ key: UInt64?, adding add: () throws -> Void = {}) throws {
        let (t, r, d) = (block.kernels.tokens, block.kernels.outputs, c.hiddenSize)
        workspace.streamOperand.round(workspace.stream.base, count: r * d)
        try projection.backward(key)
        guard !headsBackward.isEmpty else { return }
        // The queries of tokens that are not read have no gradient.
        for row in r..<t { workspace.qkv.clear(row * 3 * d..<row * 3 * d + d) }
        for (head, calls) in headsBackward.enumerated() {
            for call in calls.beforeSoftmax { try call.run() }
            softmaxBackward(head)
            for call in calls.afterSoftmax { try call.run() }
        }
        rotary?.apply(
            to: workspace.qkv, row: c.prefix.count, stride: 3 * c.hiddenSize, heads: 2 * c.heads, isInverse: true)
        try qkv.backward(key)
        guard block.qkv.backward != nil else { return }
        try add()
        (workspace.stream.base + r * d).update(repeating: 0, count: (t - r) * d)
        normBackward()
    }

    /// The same where nothing after the normalization counts.
    ///
    /// - Parameter add: adds to `tokenGradient`.
    func backward(fromTokens add: () throws -> Void) throws {
        for gradient in [workspace.normalized, workspace.stream] {
            gradient.base.update(repeating: 0, count: gradient.count)
        }
        try add()
        normBackward()
    }

    private func normBackward() {
        RowKernels.addLayerNormBackward(
            input: input.base, scale: block.norm1.scale.base, epsilon: c.layerNormEpsilon,
            gradient: workspace.normalized.base, to: workspace.stream.base, rows: block.kernels.tokens,
            columns: c.hiddenSize)
    }

    /// Takes the gradient by a head's probabilities to that by its scores.
    private func softmaxBackward(_ head: Int) {
        let (t, r) = (block.kernels.tokens, block.kernels.outputs)
        let gradient = workspace.scores.base
        if case (.bf16(let p), .bf16(let result)) = (activations.probabilities, workspace.scoresOperand) {
            BFloat16.softmaxBackward(
                probabilities: p.base + head * r * t, gradient: gradient, into: result.base, rows: r, columns: t)
        } else if case .f32(let p) = activations.probabilities {
            RowKernels.softmaxBackward(
                probabilities: p.base + head * r * t, gradient: gradient, rows: r, columns: t)
        }
    }
}
