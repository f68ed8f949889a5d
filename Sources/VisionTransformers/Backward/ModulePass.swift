import Compute
import Tensors

/// Where a layer that may have trained modules reads and writes.
struct LayerBuffers {
    let input: FloatBuffer
    let output: FloatBuffer
    /// The gradient of the output, as large as the output.
    let outputGradient: FloatBuffer
    /// The gradient of the input, nil when nothing below is trained.
    let inputGradient: FloatBuffer?
}

/// One thread's calls for one trained module. Its gradient is added up in `gradients` at `offsets`, one for each tensor.
final class ModulePass {
    private let plan: ModulePlan
    private let dropout: Dropout
    private let input: FloatBuffer
    /// What the low-rank branch reads after dropout; `input` itself without.
    private let source: FloatBuffer
    private let dropped: FloatBuffer
    private let inputGradient: FloatBuffer?
    private let forwardCalls: [KernelCall]
    private let gradientCalls: [KernelCall]
    private let inputCall: KernelCall?

    init(
        _ plan: ModulePlan, dropout: Dropout, buffers: LayerBuffers, gradients: FloatBuffer, offsets: [Int],
        workspace: Workspace
    ) throws {
        (self.plan, self.dropout) = (plan, dropout)
        (input, inputGradient, dropped) = (buffers.input, buffers.inputGradient, workspace.dropped)
        let scratch = workspace.scratch
        let column = plan.place.place == .attentionInput ? plan.place.position * plan.place.outputs : 0
        let output = Operand(buffers.output, offset: column)
        let outputGradient = Operand(buffers.outputGradient, offset: column)
        switch plan.form {
        case .dense(let kernel, _):
            source = buffers.input
            (forwardCalls, inputCall) = ([], nil)
            gradientCalls = [
                try KernelCall(
                    kernel, source: outputGradient, weights: Operand(buffers.input),
                    destination: Operand(gradients, offset: offsets[0]), scratch: scratch)
            ]
        case .lowRank(let kernels, let a, _, let scaledB, _):
            let drops = dropout.probability > 0
            source = drops ? FloatBuffer(count: buffers.input.count) : buffers.input
            let rows = buffers.input.count / plan.place.inputs
            let inner = FloatBuffer(count: rows * a.shape[0])
            let innerGradient = workspace.inner
            forwardCalls = [
                try KernelCall(
                    kernels.down, source: Operand(source), weights: Operand(a.values), destination: Operand(inner),
                    scratch: scratch),
                try KernelCall(
                    kernels.up, source: Operand(inner), weights: Operand(scaledB), destination: output,
                    scratch: scratch),
            ]
            gradientCalls = [
                try KernelCall(
                    kernels.bGradient, source: outputGradient, weights: Operand(inner),
                    destination: Operand(gradients, offset: offsets[1]), scratch: scratch),
                try KernelCall(
                    kernels.upBackward, source: outputGradient, weights: Operand(scaledB),
                    destination: Operand(innerGradient), scratch: scratch),
                try KernelCall(
                    kernels.aGradient, source: Operand(innerGradient), weights: Operand(source),
                    destination: Operand(gradients, offset: offsets[0]), scratch: scratch),
            ]
            inputCall = try buffers.inputGradient.map {
                try KernelCall(
                    drops ? kernels.downBackwardAlone : kernels.downBackward, source: Operand(innerGradient),
                    weights: Operand(a.values), destination: Operand(drops ? workspace.dropped : $0), scratch: scratch)
            }
        }
    }

    /// Adds the module's branch to the layer's output.
    ///
    /// - Parameter key: of the image's dropout, nil for none.
    func forward(_ key: UInt64?) throws {
        guard !forwardCalls.isEmpty else { return }
        if source !== input {
            if let key {
                dropout.apply(input.base, into: source.base, count: input.count, key: Dropout.key(key, plan.number))
            } else {
                source.base.update(from: input.base, count: input.count)
            }
        }
        for call in forwardCalls { try call.run() }
    }

    /// Adds to the gradients of the module's tensors, and of its input. The layer itself has gone backward before.
    func backward(_ key: UInt64?) throws {
        for call in gradientCalls { try call.run() }
        guard let inputCall, let inputGradient else { return }
        try inputCall.run()
        guard source !== input else { return }
        if let key {
            dropout.add(dropped.base, to: inputGradient.base, count: input.count, key: Dropout.key(key, plan.number))
        } else {
            RowKernels.add(dropped.base, to: inputGradient.base, count: input.count)
        }
    }
}

/// One thread's calls for one linear layer with its trained modules.
final class LayerPass {
    private let forwardCall: KernelCall
    private let backwardCall: KernelCall?
    private let modules: [ModulePass]

    init(
        _ layer: TrainingPlan.Layer, _ buffers: LayerBuffers, plan: TrainingPlan, gradients: GradientBuffer,
        workspace: Workspace
    ) throws {
        forwardCall = try KernelCall(
            layer.forward.kernel, source: Operand(buffers.input), weights: Operand(layer.forward.weights),
            bias: layer.forward.bias, destination: Operand(buffers.output), scratch: workspace.scratch)
        let inputGradient = layer.backward == nil ? nil : buffers.inputGradient
        backwardCall = try layer.backward.flatMap { backward in
            try inputGradient.map {
                try KernelCall(
                    backward.kernel, source: Operand(buffers.outputGradient), weights: Operand(backward.weights),
                    destination: Operand($0), scratch: workspace.scratch)
            }
        }
        let own = LayerBuffers(
            input: buffers.input, output: buffers.output, outputGradient: buffers.outputGradient,
            inputGradient: inputGradient)
        modules = try layer.modules.map {
            try ModulePass(
                $0, dropout: plan.dropout, buffers: own, gradients: gradients.values,
                offsets: gradients.offsets(of: $0), workspace: workspace)
        }
    }

    /// Computes the layer's output.
    func forward(_ key: UInt64?) throws {
        try forwardCall.run()
        for module in modules { try module.forward(key) }
    }

    /// From the output's gradient to those of what is trained, and of the input where something below is trained.
    func backward(_ key: UInt64?) throws {
        try backwardCall?.run()
        for module in modules { try module.backward(key) }
    }
}

/// Memory for the gradients of all trained tensors.
final class GradientBuffer {
    let values: FloatBuffer
    private let layout: GradientLayout

    init(_ layout: GradientLayout) {
        self.layout = layout
        values = FloatBuffer(count: layout.count)
    }

    func offsets(of module: ModulePlan) -> [Int] { layout.offsets[Int(module.number)] }

    func clear() { values.base.update(repeating: 0, count: values.count) }
}

/// Where the gradient of each trained tensor lies.
struct GradientLayout: Sendable {
    /// By module, by its tensors.
    let offsets: [[Int]]
    let count: Int

    init(_ modules: [ModulePlan]) {
        var (offsets, count) = ([[Int]](), 0)
        for module in modules {
            offsets.append(
                module.tensors.map { tensor in
                    defer { count += (tensor.values.count + 15) / 16 * 16 }
                    return count
                })
        }
        (self.offsets, self.count) = (offsets, count)
    }
}
