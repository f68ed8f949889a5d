import Compute
import Tensors

/// The kernels that attention sublayers share, in f32 or bf16.
struct FloatAttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let norm: NormKernel
    /// Queries, keys and values.
    let qkv: Kernel
    let attention: AttentionKernels
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, _ precision: Precision
    ) throws {
        let d = c.hiddenSize
        configuration = c
        norm = try NormKernel(engine, c, rows: tokens, precision)
        qkv = try Kernel.linear(
            engine, rows: tokens, inputs: d, outputs: 3 * d, operands: precision, result: precision)
        attention = try AttentionKernels(engine, c, tokens: tokens, precision)
        output = try Kernel.linear(
            engine, rows: tokens, inputs: d, outputs: d, accumulates: true, operands: precision, result: .f32)
    }

    var linear: [Kernel] { [qkv, output] }

    var scratchCount: Int {
        ([attention.scratchCount, norm.scratchCount] + linear.map(\.scratchCount)).max() ?? 0
    }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try FloatAttention(self, packed, layer: layer)
    }
}

/// A block's attention in f32 or bf16.
struct FloatAttention: Sublayer {
    private let kernels: FloatAttentionKernels
    private let norm: ForwardPlan.Norm
    /// Query, key and value as one layer; the query is already divided by the root of the head size.
    private let qkv: ForwardPlan.Linear
    private let output: ForwardPlan.Linear

    init(_ kernels: FloatAttentionKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm1", width: kernels.configuration.hiddenSize)
        qkv = try packed.linear("\(name).qkv", kernels.qkv)
        output = try packed.linear("\(name).output", kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        var steps = [try kernels.norm.step(norm, b, b.normalized).showing(.attentionInput, b.normalized)]
        steps.append(try b.step(qkv, b.normalized, Operand(b.qkv)))
        steps += try kernels.attention.steps(b)
        steps.append(try b.step(output, b.normalized, Operand(b.stream)))
        return steps
    }
}
