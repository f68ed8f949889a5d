import Compute
import Tensors

/// The buffers of a layer that may have trained modules.
struct LayerBuffers {
    let input: NumberBuffer
    let output: NumberBuffer
    /// The gradient by the output, as large as the output.
    let outputGradient: NumberBuffer
    /// The gradient by the input, nil when nothing below is trained.
    let inputGradient: NumberBuffer?
}

/// One thread's calls for one trained module. Its gradient is added to `gradients` at `offsets`, one for each tensor.
final class ModulePass {
    private let plan: ModulePlan
    private let dropout: Dropout
    private let input: NumberBuffer
    /// The low-rank branch's input after dropout; nil without dropout, when it reads `input`.
    private let source: NumberBuffer?
    private let dropped: FloatBuffer
    private let inputGradient: NumberBuffer?
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
        let column = plan.site.input == .attentionInput ? plan.site.position * plan.site.outputs : 0
        let output = Operand(buffers.output, offset: column)
        let outputGradient = Operand(buffers.outputGradient, offset: column)
        switch plan.form {
        case .dense(let kernel, _):
            source = nil
            (forwardCalls, inputCall) = ([], nil)
            gradientCalls = [
                try KernelCall(
                    kernel, source: outputGradient, weights: Operand(buffers.input),
                    destination: Operand(gradients, offset: offsets[0]), scratch: scratch)
            ]
        case .lowRank(let kernels, let factors):
            let (a, scaledB) = (Operand(factors.aOperand), Operand(factors.scaledB))
            let drops = dropout.probability > 0
            let precision = buffers.input.type
            let dropped = drops ? NumberBuffer(precision, count: buffers.input.count) : nil
            source = dropped
            let read = Operand(dropped ?? buffers.input)
            let rows = buffers.input.count / plan.site.inputs
            let inner = NumberBuffer(precision, count: rows * factors.a.shape[0])
            let innerGradient = workspace.inner
            forwardCalls = [
                try KernelCall(
                    kernels.down, source: read, weights: a, destination: Operand(inner),
                    scratch: scratch),
                try KernelCall(
                    kernels.up, source: Operand(inner), weights: scaledB, destination: output,
                    scratch: scratch),
            ]
            gradientCalls = [
                try KernelCall(
                    kernels.bGradient, source: outputGradient, weights: Operand(inner),
                    destination: Operand(gradients, offset: offsets[1]), scratch: scratch),
                try KernelCall(
                    kernels.upBackward, source: outputGradient, weights: scaledB,
                    destination: Operand(innerGradient), scratch: scratch),
                try KernelCall(
                    kernels.aGradient, source: Operand(innerGradient), weights: read,
                    destination: Operand(gradients, offset: offsets[0]), scratch: scratch),
            ]
            inputCall = try buffers.inputGradient.map {
                try KernelCall(
                    drops ? kernels.downBackwardAlone : kernels.downBackward, source: Operand(innerGradient),
                    weights: a, destination: Operand(drops ? .f32(workspace.dropped) : $0), scratch: scratch)
            }
        }
    }

    /// Adds the module's branch to the layer's output.
    ///
    /// - Parameter key: the key of the image's dropout, nil for none.
    func forward(_ key: UInt64?) throws {
        guard !forwardCalls.isEmpty else { return }
        if let source { drop(into: source, key) }
        for call in forwardCalls { try call.run() }
    }

    /// Adds to the gradients by the module's tensors and by its input, after the layer's own backward pass.
    func backward(_ key: UInt64?) throws {
        for call in gradientCalls { try call.run() }
        guard let inputCall, let inputGradient else { return }
        try inputCall.run()
        guard source != nil else { return }
        let key = key.map { Dropout.key($0, plan.number) }
        if case .f32(let sum) = inputGradient, let key {
            dropout.add(dropped.base, to: sum.base, count: input.count, key: key)
        } else {
            if let key { dropout.apply(dropped.base, into: dropped.base, count: input.count, key: key) }
            inputGradient.add(dropped.base, count: input.count)
        }
    }

    /// Writes the input after dropout to `source`.
    private func drop(into source: NumberBuffer, _ key: UInt64?) {
        let floats = if case .f32(let buffer) = source { buffer } else { dropped }
        input.copy(to: floats.base, count: input.count)
        if let key {
            dropout.apply(floats.base, into: floats.base, count: input.count, key: Dropout.key(key, plan.number))
        }
        source.round(floats.base, count: input.count)
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
        forwardCall = try layer.forward.call(
            Operand(buffers.input), Operand(buffers.output), scratch: workspace.scratch)
        let inputGradient = layer.backward == nil ? nil : buffers.inputGradient
        backwardCall = try layer.backward.flatMap { backward in
            try inputGradient.map {
                try backward.call(Operand(buffers.outputGradient), Operand($0), scratch: workspace.scratch)
            }
        }
        let moduleBuffers = LayerBuffers(
            input: buffers.input, output: buffers.output, outputGradient: buffers.outputGradient,
            inputGradient: inputGradient)
        modules = try layer.modules.map {
            try ModulePass(
                $0, dropout: plan.dropout, buffers: moduleBuffers, gradients: gradients.values,
                offsets: gradients.offsets(of: $0), workspace: workspace)
        }
    }

    /// Computes the layer's output.
    func forward(_ key: UInt64?) throws {
        try forwardCall.run()
        for module in modules { try module.forward(key) }
    }

    /// Takes the gradient by the output to those by trained tensors, and by the input where modules below are trained.
    func backward(_ key: UInt64?) throws {
        try backwardCall?.run()
        for module in modules { try module.backward(key) }
    }
}

/// Memory for the gradients by all trained tensors.
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

/// The offset of the gradient by each trained tensor.
struct GradientLayout: Sendable {
    /// For each module and each of its tensors.
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
