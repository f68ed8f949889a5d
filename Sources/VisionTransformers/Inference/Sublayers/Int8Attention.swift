import Compute
import Tensors

/// The kernels that attention sublayers share, in int8.
struct Int8AttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: Int
    /// Queries, keys and values.
    let qkv: Kernel
    let attention: AttentionKernels
    let output: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, stored: Precision) throws {
        let d = c.hiddenSize
        configuration = c
        self.tokens = tokens
        qkv = try Kernel.products(engine, rows: tokens, inputs: d, outputs: 3 * d, result: stored)
        attention = try AttentionKernels(engine, c, tokens: tokens, stored)
        output = try Kernel.products(engine, rows: tokens, inputs: d, outputs: d, result: .f32)
    }

    var linear: [Kernel] { [qkv, output] }

    var scratchCount: Int { ([attention.scratchCount] + linear.map(\.scratchCount)).max() ?? 0 }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try Int8Attention(self, packed, layer: layer)
    }
}

/// A block's attention with linear layers in int8.
struct Int8Attention: Sublayer {
    private let kernels: Int8AttentionKernels
    private let norm: ForwardPlan.Norm
    private let qkv: Int8Linear
    private let output: Int8Linear

    init(_ kernels: Int8AttentionKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm1", width: kernels.configuration.hiddenSize)
        qkv = try packed.int8("\(name).qkv", kernels.qkv)
        output = try packed.int8("\(name).output", kernels.output)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let (d, tokens) = (kernels.configuration.hiddenSize, kernels.tokens)
        let (products, attended) = (Int8.Products(b.hidden, qkv.scaling), b.normalized)
        return [
            norm.int8Step(rows: tokens, epsilon: kernels.configuration.layerNormEpsilon, b, int8),
            try qkv.step(int8.narrow, Operand(b.hidden), b),
            ForwardStep(.quantization) {
                Int8.dequantize(products, of: int8.narrow, into: Operand(b.qkv), rows: tokens, stride: 3 * d)
            },
        ] + (try kernels.attention.steps(b)) + [
            ForwardStep(.quantization) { Int8.quantize(attended, into: int8.narrow, rows: tokens, columns: d) }
        ] + (try output.addingSteps(int8.narrow, count: tokens, b, int8))
    }
}
