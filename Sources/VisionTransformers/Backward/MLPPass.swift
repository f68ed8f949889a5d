import Compute
import Tensors

/// One thread's calls for the second half of a block: `output = input + MLP(norm(input))`, for R tokens.
final class MLPPass {
    private let c: BackboneConfiguration
    private let block: TrainingPlan.Block
    private let input: FloatBuffer
    private let output: FloatBuffer
    private let activations: BlockActivations
    private let workspace: Workspace
    private let norm: KernelCall
    private let up: LayerPass?
    private let first: LayerPass
    private let activation: KernelCall
    private let second: LayerPass
    private let activationBackward: KernelCall

    init(
        _ block: TrainingPlan.Block, plan: TrainingPlan, input: FloatBuffer, output: FloatBuffer,
        activations: BlockActivations, gradients: GradientBuffer, workspace w: Workspace
    ) throws {
        (c, self.block, self.input, self.output, self.activations) = (
            plan.configuration, block, input, output, activations
        )
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
        norm = try block.norm2.call(
            kernels.norm2, input, plan.precision == .f32 ? activations.normalized2 : .f32(w.normalized),
            scratch: w.scratch)
        let normalizedGradient = NumberBuffer.f32(w.normalized)
        first = try layer(block.first, activations.normalized2, activations.preactivation, w.hidden, normalizedGradient)
        up = try block.up.map { try layer($0, activations.normalized2, activations.up, w.up, normalizedGradient) }
        activation = try KernelCall(
            kernels.activation, source: Operand(activations.preactivation), destination: Operand(activations.activated),
            scratch: w.scratch)
        second = try layer(block.second, activations.hidden, .f32(output), w.streamOperand, w.hidden)
        activationBackward = try KernelCall(
            kernels.activationBackward, source: Operand(activations.preactivation), multiplier: Operand(w.hidden),
            destination: Operand(w.hidden), scratch: w.scratch)
    }

    /// Computes the half for one image.
    func forward(_ key: UInt64?) throws {
        try norm.run()
        activations.normalized2.round(workspace.normalized.base, count: activations.normalized2.count)
        try first.forward(key)
        try activation.run()
        if let up {
            try up.forward(key)
            activations.hidden.setProduct(activations.activated, activations.up, count: activations.hidden.count)
        }
        output.base.update(from: input.base, count: output.count)
        try second.forward(key)
    }

    /// Takes the gradient by the output to that by the input, in the workspace's stream, as far down as modules are
    /// trained.
    func backward(_ key: UInt64?) throws {
        workspace.streamOperand.round(workspace.stream.base, count: output.count)
        try second.backward(key)
        guard block.second.backward != nil else { return }
        let (count, hidden) = (activations.hidden.count, workspace.hidden)
        if up != nil {
            workspace.up.setProduct(hidden, activations.activated, count: count)
            hidden.setProduct(hidden, activations.up, count: count)
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
