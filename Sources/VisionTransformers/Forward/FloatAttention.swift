import Compute
import Tensors

/// The kernels that blocks of the same tokens share, in f32 or bf16.
struct FloatBlockKernels: ForwardBlockKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    let norm1: NormKernel
    /// The queries of the tokens that are read, when these are not all.
    let query: Kernel?
    /// Queries, keys and values, or keys and values alone.
    let qkv: Kernel
    let attention: AttentionKernels
    let attentionOutput: Kernel
    let norm2: NormKernel
    let up: Kernel?
    let first: Kernel
    let second: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ precision: Precision
    ) throws {
        let (t, r, d, m) = (tokens.all, tokens.read, c.hiddenSize, c.intermediateSize)
        func linear(
            _ rows: Int, _ inputs: Int, _ outputs: Int, stride: Int? = nil, activation: Activation? = nil,
            multiplies: Bool = false
        ) throws -> Kernel {
            try Kernel.linear(
                engine, rows: rows, inputs: inputs, outputs: outputs, outputStride: stride, activation: activation,
                multiplies: multiplies, operands: precision, result: precision)
        }
        func added(_ inputs: Int) throws -> Kernel {
            try Kernel.linear(
                engine, rows: r, inputs: inputs, outputs: d, accumulates: true, operands: precision, result: .f32)
        }
        configuration = c
        self.tokens = tokens
        norm1 = try NormKernel(engine, c, rows: t, precision)
        query = r < t ? try linear(r, d, d, stride: 3 * d) : nil
        qkv = r < t ? try linear(t, d, 2 * d, stride: 3 * d) : try linear(t, d, 3 * d)
        attention = try AttentionKernels(engine, c, tokens, precision)
        attentionOutput = try added(d)
        norm2 = r < t ? try NormKernel(engine, c, rows: r, precision) : norm1
        up = c.usesSwiGLU ? try linear(r, d, m) : nil
        first = try linear(
            r, d, m, activation: c.usesSwiGLU ? .swish(alpha: 1) : c.activation, multiplies: c.usesSwiGLU)
        second = try added(m)
    }

    var linear: [Kernel] { [query, qkv, attentionOutput, up, first, second].compactMap(\.self) }

    var scratchCount: Int {
        ([attention.scratchCount, norm1.scratchCount, norm2.scratchCount]
            + linear.map(\.scratchCount)).max() ?? 0
    }
}

/// Layer normalization as products read it: in f32 by the library, in bf16 by a loop that rounds.
struct NormKernel: Sendable {
    private let kernel: Kernel?
    private let rows: Int
    private let epsilon: Float

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, rows: Int, _ precision: Precision) throws {
        self.rows = rows
        epsilon = c.layerNormEpsilon
        kernel =
            precision == .f32
            ? try Kernel.layerNorm(engine, rows: rows, columns: c.hiddenSize, epsilon: epsilon) : nil
    }

    var scratchCount: Int { kernel?.scratchCount ?? 0 }

    /// Binds it to the stream and what receives its normalized rows.
    func step(_ norm: ForwardPlan.Norm, _ buffers: ForwardBuffers, _ result: NumberBuffer) throws -> ForwardStep {
        let (stream, rows, epsilon) = (buffers.stream, rows, epsilon)
        if case .bf16(let result) = result {
            return ForwardStep(.normalization) {
                BFloat16.layerNorm(
                    stream.base, scale: norm.scale.base, shift: norm.shift.base, epsilon: epsilon, into: result.base,
                    rows: rows, columns: norm.scale.count)
            }
        }
        let call = try kernel.map {
            try KernelCall(
                $0, source: Operand(stream), weights: Operand(norm.scale), bias: norm.shift,
                destination: Operand(result), scratch: buffers.scratch)
        }
        return ForwardStep(.normalization) { try call?.run() }
    }
}

/// One transformer block in f32 or bf16.
struct FloatBlock: ForwardBlock {
    private let kernels: FloatBlockKernels
    private let norm1: ForwardPlan.Norm
    private let query: ForwardPlan.Linear?
    /// Query, key and value as one layer; the query is already divided by the root of the head size.
    private let qkv: ForwardPlan.Linear
    private let attentionOutput: ForwardPlan.Linear
    private let norm2: ForwardPlan.Norm
    /// The up branch of a gated MLP, else nil.
    private let up: ForwardPlan.Linear?
    /// The MLP's first layer; in a gated MLP the gate, whose result is multiplied by the up branch.
    private let first: ForwardPlan.Linear
    private let second: ForwardPlan.Linear

    init(_ kernels: FloatBlockKernels, _ packed: PackedWeights, layer: Int) throws {
        let d = kernels.configuration.hiddenSize
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm1 = try packed.norm("\(name).norm1", width: d)
        query = try kernels.query.map { try packed.linear("\(name).query", $0) }
        qkv = try packed.linear("\(name).qkv", kernels.qkv)
        attentionOutput = try packed.linear("\(name).output", kernels.attentionOutput)
        norm2 = try packed.norm("\(name).norm2", width: d)
        up = try kernels.up.map { try packed.linear("\(name).up", $0) }
        first = try packed.linear("\(name).first", kernels.first)
        second = try packed.linear("\(name).second", kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        let keys = query == nil ? 0 : kernels.configuration.hiddenSize
        var steps = [try kernels.norm1.step(norm1, b, b.normalized).showing(.attentionInput, b.normalized)]
        if let query { steps.append(try b.step(query, b.normalized, Operand(b.qkv))) }
        steps.append(try b.step(qkv, b.normalized, Operand(b.qkv, offset: keys)))
        steps += try kernels.attention.steps(b)
        steps.append(try b.step(attentionOutput, b.normalized, Operand(b.stream)))
        steps.append(try kernels.norm2.step(norm2, b, b.normalized).showing(.mlpInput, b.normalized))
        if let up { steps.append(try b.step(up, b.normalized, Operand(b.up))) }
        steps.append(
            try b.step(first, b.normalized, Operand(b.hidden), multiplier: up == nil ? nil : b.up)
                .showing(.mlpHidden, b.hidden))
        steps.append(try b.step(second, b.hidden, Operand(b.stream)))
        return steps
    }
}
