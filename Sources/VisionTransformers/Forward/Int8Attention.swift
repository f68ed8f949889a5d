import Compute
import Tensors

/// The kernels that attention sublayers of the same tokens share, in int8.
struct Int8AttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    /// The queries of the tokens that are read, when these are not all.
    let query: Kernel?
    /// Queries, keys and values, or keys and values alone.
    let qkv: Kernel
    let attention: AttentionKernels
    let output: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, stored: Precision) throws {
        let (t, r, d) = (tokens.all, tokens.read, c.hiddenSize)
        func products(_ rows: Int, _ outputs: Int, _ result: Precision) throws -> Kernel {
            try Kernel.products(engine, rows: rows, inputs: d, outputs: outputs, result: result)
        }
        configuration = c
        self.tokens = tokens
        query = r < t ? try products(r, d, stored) : nil
        qkv = try products(t, r < t ? 2 * d : 3 * d, stored)
        attention = try AttentionKernels(engine, c, tokens, stored)
        output = try products(r, d, .f32)
    }

    var linear: [Kernel] { [query, qkv, output].compactMap(\.self) }

    var scratchCount: Int { ([attention.scratchCount] + linear.map(\.scratchCount)).max() ?? 0 }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try Int8Attention(self, packed, layer: layer)
    }
}

/// A block's attention with linear layers in int8.
struct Int8Attention: Sublayer {
    private let kernels: Int8AttentionKernels
    private let norm: ForwardPlan.Norm
    private let query: Int8Linear?
    private let qkv: Int8Linear
    private let output: Int8Linear

    init(_ kernels: Int8AttentionKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm1", width: kernels.configuration.hiddenSize)
        query = try kernels.query.map { try packed.int8("\(name).query", $0) }
        qkv = try packed.int8("\(name).qkv", kernels.qkv)
        output = try packed.int8("\(name).output", kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let (d, all, read) = (kernels.configuration.hiddenSize, kernels.tokens.all, kernels.tokens.read)
        var steps = [norm.int8Step(rows: all, epsilon: kernels.configuration.layerNormEpsilon, b, int8)]
        if let query { steps += try input(query, Operand(b.qkv), rows: read, b, int8) }
        steps += try input(qkv, Operand(b.qkv, offset: query == nil ? 0 : d), rows: all, b, int8)
        steps += try kernels.attention.steps(b)
        let attended = b.normalized
        steps.append(
            ForwardStep(.quantization) { Int8.quantize(attended, into: int8.narrow, rows: read, columns: d) })
        return steps + (try output.addingSteps(int8.narrow, count: read, b, int8))
    }

    private func input(
        _ layer: Int8Linear, _ destination: Operand, rows: Int, _ b: ForwardBuffers, _ int8: Int8Buffers
    ) throws -> [ForwardStep] {
        let stride = 3 * kernels.configuration.hiddenSize
        let products = Int8.Products(b.hidden, layer.scaling)
        return [
            try layer.step(int8.narrow, Operand(b.hidden), b),
            ForwardStep(.quantization) {
                Int8.dequantize(products, of: int8.narrow, into: destination, rows: rows, stride: stride)
            },
        ]
    }
}
