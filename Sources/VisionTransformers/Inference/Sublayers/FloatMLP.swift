import Compute
import Tensors

/// The kernels of MLPs over the same tokens, in f32 or bf16.
struct FloatMLPKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let norm: LayerNormKernel
    /// A gated MLP's up branch.
    let up: Kernel?
    /// The first layer with the activation; in a gated MLP the gate, whose result is multiplied by the up branch.
    let first: Kernel
    let second: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ type: OperandType
    ) throws {
        let (r, d, m) = (tokens.outputs, c.hiddenSize, c.intermediateSize)
        let rows = linearRows(r, isNarrow: type != .f32)
        func linear(activation: Activation? = nil, multiplies: Bool = false) throws -> Kernel {
            try Kernel.linear(
                engine, rows: rows, inputs: d, outputs: m, activation: activation, multiplies: multiplies,
                operands: type, result: type)
        }
        configuration = c
        norm = try LayerNormKernel(engine, c, rows: r, type)
        up = c.isGated ? try linear() : nil
        first = try linear(activation: c.activation, multiplies: c.isGated)
        second = try Kernel.linear(
            engine, rows: rows, inputs: m, outputs: d, accumulates: true, operands: type, result: .f32)
    }

    var linearKernels: [Kernel] { [up, first, second].compactMap(\.self) }
    var otherKernels: [Kernel] { norm.kernels }

    func sublayer(_ weights: BlockWeights) throws -> any Sublayer { try FloatMLP(self, weights) }
}

/// A block's MLP in f32 or bf16: `stream += MLP(norm(stream))`.
struct FloatMLP: Sublayer {
    private let kernels: FloatMLPKernels
    private let norm: LayerNorm
    /// The up branch of a gated MLP, else nil.
    private let up: PackedLinear?
    private let first: PackedLinear
    private let second: PackedLinear

    init(_ kernels: FloatMLPKernels, _ weights: BlockWeights) throws {
        self.kernels = kernels
        let names = kernels.configuration.mlpNames(weights.layer)
        func linear(_ part: String, _ name: String, _ kernel: Kernel) throws -> PackedLinear {
            try weights.linear(part, weights.load { try $0.linear(name) }, kernel)
        }
        norm = try weights.norm(
            "norm2", weights.load { try $0.norm("layers.\(weights.layer).norm2") },
            width: kernels.configuration.hiddenSize)
        if let name = names.up, let kernel = kernels.up { up = try linear("up", name, kernel) } else { up = nil }
        first = try linear("first", names.first, kernels.first)
        second = try linear("second", names.second, kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        func step(
            _ layer: PackedLinear, _ source: NumberBuffer, _ destination: Operand, multiplier: NumberBuffer? = nil
        ) throws -> ForwardStep {
            ForwardStep(
                .linear,
                try layer.call(
                    Operand(source), destination, multiplier: multiplier.map { Operand($0) }, scratch: b.scratch))
        }
        var steps = [try kernels.norm.step(norm, b, b.normalized).showing(.mlpInput, b.normalized)]
        if let up { steps.append(try step(up, b.normalized, Operand(b.up))) }
        steps.append(
            try step(first, b.normalized, Operand(b.hidden), multiplier: up == nil ? nil : b.up)
                .showing(.mlpHidden, b.hidden))
        steps.append(try step(second, b.hidden, Operand(b.stream)))
        return steps
    }
}
