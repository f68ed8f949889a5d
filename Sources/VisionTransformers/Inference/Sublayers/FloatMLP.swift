import Compute
import Tensors

/// The kernels that MLP sublayers of the same tokens share, in f32 or bf16.
struct FloatMLPKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let norm: NormKernel
    let up: Kernel?
    let first: Kernel
    let second: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ precision: Precision
    ) throws {
        let (r, d, m) = (tokens.read, c.hiddenSize, c.intermediateSize)
        func linear(activation: Activation? = nil, multiplies: Bool = false) throws -> Kernel {
            try Kernel.linear(
                engine, rows: r, inputs: d, outputs: m, activation: activation, multiplies: multiplies,
                operands: precision, result: precision)
        }
        configuration = c
        norm = try NormKernel(engine, c, rows: r, precision)
        up = c.usesSwiGLU ? try linear() : nil
        first = try linear(activation: c.usesSwiGLU ? .swish(alpha: 1) : c.activation, multiplies: c.usesSwiGLU)
        second = try Kernel.linear(
            engine, rows: r, inputs: m, outputs: d, accumulates: true, operands: precision, result: .f32)
    }

    var linear: [Kernel] { [up, first, second].compactMap(\.self) }

    var scratchCount: Int { ([norm.scratchCount] + linear.map(\.scratchCount)).max() ?? 0 }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try FloatMLP(self, packed, layer: layer)
    }
}

/// A block's MLP in f32 or bf16.
struct FloatMLP: Sublayer {
    private let kernels: FloatMLPKernels
    private let norm: ForwardPlan.Norm
    /// The up branch of a gated MLP, else nil.
    private let up: ForwardPlan.Linear?
    /// The MLP's first layer; in a gated MLP the gate, whose result is multiplied by the up branch.
    private let first: ForwardPlan.Linear
    private let second: ForwardPlan.Linear

    init(_ kernels: FloatMLPKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm2", width: kernels.configuration.hiddenSize)
        up = try kernels.up.map { try packed.linear("\(name).up", $0) }
        first = try packed.linear("\(name).first", kernels.first)
        second = try packed.linear("\(name).second", kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        var steps = [try kernels.norm.step(norm, b, b.normalized).showing(.mlpInput, b.normalized)]
        if let up { steps.append(try b.step(up, b.normalized, Operand(b.up))) }
        steps.append(
            try b.step(first, b.normalized, Operand(b.hidden), multiplier: up == nil ? nil : b.up)
                .showing(.mlpHidden, b.hidden))
        steps.append(try b.step(second, b.hidden, Operand(b.stream)))
        return steps
    }
}
