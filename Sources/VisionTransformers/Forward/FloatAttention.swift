import Compute
import Tensors

/// The kernels that attention sublayers of the same tokens share, in f32 or bf16.
struct FloatAttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let norm: NormKernel
    /// The queries of the tokens that are read, when these are not all.
    let query: Kernel?
    /// Queries, keys and values, or keys and values alone.
    let qkv: Kernel
    let attention: AttentionKernels
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ precision: Precision
    ) throws {
        let (t, r, d) = (tokens.all, tokens.read, c.hiddenSize)
        func linear(_ rows: Int, _ outputs: Int) throws -> Kernel {
            try Kernel.linear(
                engine, rows: rows, inputs: d, outputs: outputs, outputStride: 3 * d, operands: precision,
                result: precision)
        }
        configuration = c
        norm = try NormKernel(engine, c, rows: t, precision)
        query = r < t ? try linear(r, d) : nil
        qkv = try linear(t, r < t ? 2 * d : 3 * d)
        attention = try AttentionKernels(engine, c, tokens, precision)
        output = try Kernel.linear(
            engine, rows: r, inputs: d, outputs: d, accumulates: true, operands: precision, result: .f32)
    }

    var linear: [Kernel] { [query, qkv, output].compactMap(\.self) }

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
    private let query: ForwardPlan.Linear?
    /// Query, key and value as one layer; the query is already divided by the root of the head size.
    private let qkv: ForwardPlan.Linear
    private let output: ForwardPlan.Linear

    init(_ kernels: FloatAttentionKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm1", width: kernels.configuration.hiddenSize)
        query = try kernels.query.map { try packed.linear("\(name).query", $0) }
        qkv = try packed.linear("\(name).qkv", kernels.qkv)
        output = try packed.linear("\(name).output", kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let keys = query == nil ? 0 : kernels.configuration.hiddenSize
        var steps = [try kernels.norm.step(norm, b, b.normalized).showing(.attentionInput, b.normalized)]
        if let query { steps.append(try b.step(query, b.normalized, Operand(b.qkv))) }
        steps.append(try b.step(qkv, b.normalized, Operand(b.qkv, offset: keys)))
        steps += try kernels.attention.steps(b)
        steps.append(try b.step(output, b.normalized, Operand(b.stream)))
        return steps
    }
}
