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
            _ layer: TrainingPlan.Layer, _ input: FloatBuffer, _ output: FloatBuffer, _ outputGradient: FloatBuffer,
            _ inputGradient: FloatBuffer
        ) throws -> LayerPass {
            try LayerPass(
                layer,
                LayerBuffers(
                    input: input, output: output, outputGradient: outputGradient, inputGradient: inputGradient),
                plan: plan, gradients: gradients, workspace: w)
        }
        norm = try KernelCall(
            kernels.norm2, source: Operand(input), weights: Operand(block.norm2.scale), bias: block.norm2.shift,
            destination: Operand(kept.normalized2), scratch: w.scratch)
        first = try layer(block.first, kept.normalized2, kept.preactivation, w.hidden, w.normalized)
        up = try block.up.map { try layer($0, kept.normalized2, kept.up, w.up, w.normalized) }
        activation = try KernelCall(
            kernels.activation, source: Operand(kept.preactivation), destination: Operand(kept.activated),
            scratch: w.scratch)
        second = try layer(block.second, kept.hidden, output, w.stream, w.hidden)
        activationBackward = try KernelCall(
            kernels.activationBackward, source: Operand(kept.preactivation), multiplier: w.hidden,
            destination: Operand(w.hidden), scratch: w.scratch)
    }

    /// Computes the half for one image.
    func forward(_ key: UInt64?) throws {
        try norm.run()
        try first.forward(key)
        try activation.run()
        if let up {
            try up.forward(key)
            RowKernels.multiply(kept.activated.base, kept.up.base, into: kept.hidden.base, count: kept.hidden.count)
        }
        output.base.update(from: input.base, count: output.count)
        try second.forward(key)
    }

    /// From the gradient of the output to that of the input, in the workspace's stream, as far down as something is trained.
    func backward(_ key: UInt64?) throws {
        try second.backward(key)
        guard block.second.backward != nil else { return }
        let (count, hidden) = (kept.hidden.count, workspace.hidden.base)
        if up != nil {
            RowKernels.multiply(hidden, kept.activated.base, into: workspace.up.base, count: count)
            RowKernels.multiply(hidden, kept.up.base, into: hidden, count: count)
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
