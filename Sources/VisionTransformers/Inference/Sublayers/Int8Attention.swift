import Compute
import Tensors

/// The kernels of attention with linear layers in int8.
struct Int8AttentionKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: Int
    /// Queries, keys and values.
    let qkv: Kernel
    let heads: AttentionHeadKernels
    let output: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int, _ heads: AttentionHeadKernels,
        _ type: OperandType
    ) throws {
        let d = c.hiddenSize
        (configuration, self.tokens, self.heads) = (c, tokens, heads)
        let rows = linearRows(tokens, isNarrow: true)
        qkv = try Kernel.products(engine, rows: rows, inputs: d, outputs: 3 * d, result: type)
        output = try Kernel.products(engine, rows: rows, inputs: d, outputs: d, result: .f32)
    }

    var linearKernels: [Kernel] { [qkv, output] }
    var otherKernels: [Kernel] { heads.kernels }
    var loopScratchCount: Int { heads.loopScratchCount }

    func sublayer(_ weights: BlockWeights) throws -> any Sublayer { try Int8Attention(self, weights) }
}

/// A block's attention with linear layers in int8.
struct Int8Attention: Sublayer {
    private let kernels: Int8AttentionKernels
    private let norm: LayerNorm
    private let qkv: PackedInt8Linear
    private let output: PackedInt8Linear
    private let scoreBias: FloatBuffer?

    init(_ kernels: Int8AttentionKernels, _ weights: BlockWeights) throws {
        let quantized = try weights.loadQuantizedAttention()
        self.kernels = kernels
        norm = try weights.norm("norm1", quantized?.norm, width: kernels.configuration.hiddenSize)
        qkv = try weights.int8("qkv", quantized?.input, kernels.qkv)
        output = try weights.int8("output", quantized?.output, kernels.output)
        scoreBias = try weights.scoreBias(
            kernels.configuration, BlockTokens(all: kernels.tokens, outputs: kernels.tokens))
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let (d, tokens) = (kernels.configuration.hiddenSize, kernels.tokens)
        let (products, attended) = (Int8.Products(b.hidden, qkv.scaling), b.normalized)
        return [
            norm.int8Step(rows: tokens, epsilon: kernels.configuration.layerNormEpsilon, b, int8),
            try qkv.step(int8.narrow, Operand(b.hidden), scratch: b.scratch),
            ForwardStep(.quantization) {
                Int8.dequantize(products, of: int8.narrow, into: Operand(b.qkv), rows: tokens, stride: 3 * d)
            },
        ] + (try kernels.heads.steps(b, scoreBias)) + [
            ForwardStep(.quantization) { Int8.quantize(attended, into: int8.narrow, rows: tokens, columns: d) }
        ] + (try output.addingSteps(int8.narrow, count: tokens, b, int8))
    }
}
