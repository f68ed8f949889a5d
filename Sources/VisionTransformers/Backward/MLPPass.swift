import Compute
import Tensors

/// One thread's calls for the second half of a block: `output = input + MLP(norm(input))`, for R tokens.
final class MLPPass {
    private let c: BackboneConfiguration
    private let block: TrainingPlan.Block
    private let input: FloatBuffer
    private let output: FloatBuffer
    private let kept: BlockBuffers
    private let workspace: Workspace
    private let norm: KernelCall
    private let up: LayerPass?
    private let first: LayerPass
    private let activation: KernelCall
    private let second: LayerPass
    private let activationBackward: KernelCall

    init(
        _ block: TrainingPlan.Block, plan: TrainingPlan, input: FloatBuffer, output: FloatBuffer, kept: BlockBuffers,
        gradients: GradientBuffer, workspace w: Workspace
    ) throws {
        (c, self.block, self.input, self.output, self.kept) = (plan.configuration, block, input, output, kept)
        workspace = w
        let kernels = block.kernels
        func layer(
            _ layer: TrainingPlan.Layer, _ input: NumberBuffer, _ output: NumberBuffer,
            _ outputGradient: NumberBuffer, _ inputGradient: NumberBuffer
        ) throws -> LayerPass {
            try LayerPass(
                layer,
                LayerBuffers(
                    input: input, output: output, outputGradient: outputGradient, inputGradient: inputGradient),
                plan: plan, gradients: gradients, workspace: w)
        }
        norm = try KernelCall(
            kernels.norm2, source: Operand(input), weights: Operand(block.norm2.scale), bias: block.norm2.shift,
            destination: Operand(plan.precision == .f32 ? kept.normalized2 : .f32(w.normalized)), scratch: w.scratch)
        let normalizedGradient = NumberBuffer.f32(w.normalized)
        first = try layer(block.first, kept.normalized2, kept.preactivation, w.hidden, normalizedGradient)
        up = try block.up.map { try layer($0, kept.normalized2, kept.up, w.up, normalizedGradient) }
        activation = try KernelCall(
            kernels.activation, source: Operand(kept.preactivation), destination: Operand(kept.activated),
            scratch: w.scratch)
        second = try layer(block.second, kept.hidden, .f32(output), w.streamOperand, w.hidden)
        activationBackward = try KernelCall(
            kernels.activationBackward, source: Operand(kept.preactivation), multiplier: Operand(w.hidden),
            destination: Operand(w.hidden), scratch: w.scratch)
    }

    /// Computes the half for one image.
    func forward(_ key: UInt64?) throws {
        try norm.run()
        kept.normalized2.round(workspace.normalized.base, count: kept.normalized2.count)
        try first.forward(key)
        try activation.run()
        if let up {
            try up.forward(key)
            kept.hidden.setProduct(kept.activated, kept.up, count: kept.hidden.count)
        }
        output.base.update(from: input.base, count: output.count)
        try second.forward(key)
    }

    /// From the gradient of the output to that of the input, in the workspace's stream, as far down as something is trained.
    func backward(_ key: UInt64?) throws {
        workspace.streamOperand.round(workspace.stream.base, count: output.count)
        try second.backward(key)
        guard block.second.backward != nil else { return }
        let (count, hidden) = (kept.hidden.count, workspace.hidden)
        if up != nil {
            workspace.up.setProduct(hidden, kept.activated, count: count)
            hidden.setProduct(hidden, kept.up, count: count)
        }
        try activationBackward.run()
        try first.backward(key)
        try up?.backward(key)
        guard block.first.backward != nil else { return }
        RowKernels.addLayerNormBackward(
            input: input.base, scale: block.norm2.scale.base, epsilon: c.layerNormEpsilon,
            gradient: workspace.normalized.base, to: workspace.stream.base, rows: block.kernels.outputs,
            columns: c.hiddenSize)
    }
}
