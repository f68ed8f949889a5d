import Compute
import Tensors

/// All kernels of a forward pass but the heads'.
struct PlanKernels: Sendable {
    private let shape: ForwardShape
    /// Patches to tokens, added to the initial tokens.
    let embedding: Kernel
    /// Of each block's sublayers in their order, shared by blocks that compute the same.
    let blocks: [[any SublayerKernels]]
    /// The layer normalization of all tokens before the first block, where there is one.
    let preNorm: LayerNormKernel
    /// The final layer normalization, of the tokens that are read.
    let finalNorm: LayerNormKernel
    /// The same of the features, in families that pool first.
    let featureNorm: Kernel
    /// The largest scratch memory that any of them needs, in elements.
    let scratchCount: Int

    /// Plans the kernels.
    ///
    /// - Parameter isCalibrated: whether int8 has weights that `quantize` has made.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    init(_ engine: KernelEngine, _ shape: ForwardShape, isCalibrated: Bool) throws {
        let (c, tokens, type) = (shape.configuration, shape.tokens, shape.precision.operandType)
        self.shape = shape
        embedding = try Kernel.linear(
            engine, rows: shape.patches, inputs: c.patchLength, outputs: c.hiddenSize, accumulates: true,
            operands: type)
        preNorm = try LayerNormKernel(engine, c, rows: tokens.all, .f32)
        finalNorm = try LayerNormKernel(engine, c, rows: tokens.outputs, .f32)
        featureNorm = try Kernel.layerNorm(engine, rows: 1, columns: c.hiddenSize, epsilon: c.layerNormEpsilon)
        let everyToken = BlockTokens(all: tokens.all, outputs: tokens.all)
        let rotary = shape.rotary
        var planned: [SublayerKind: any SublayerKernels] = [:]
        blocks = try (0..<shape.layers).map { layer in
            try BlockPart.allCases.map { part in
                let isQuantized = shape.precision == .int8 && part.isQuantized(in: layer, isCalibrated: isCalibrated)
                let kind = SublayerKind(
                    part: part, tokens: layer == c.layers - 1 ? tokens : everyToken, isQuantized: isQuantized)
                if let kernels = planned[kind] { return kernels }
                let kernels = try kind.kernels(engine, c, rotary, type)
                planned[kind] = kernels
                return kernels
            }
        }
        let others = [embedding, featureNorm] + preNorm.kernels + finalNorm.kernels
        scratchCount = (others.map(\.scratchCount) + blocks.joined().map(\.scratchCount)).max() ?? 0
    }

    /// What packed weights depend on besides the model: precision, size of images, tokens, and each layer's layout. Nil
    /// where the library does not say how weights are laid out.
    var packedLayout: PackedLayout? {
        let (precision, tokens) = (shape.precision, shape.tokens)
        return PackedLayout(
            format: "\(precision)", isQuantized: precision == .int8,
            "\(precision), \(precision.operandType), images of \(shape.imageSize), "
                + "\(tokens.outputs) of \(tokens.all) tokens, \(shape.layers) blocks",
            [embedding] + blocks.joined().flatMap(\.linearKernels))
    }
}

/// What sublayers that share their kernels have in common.
private struct SublayerKind: Hashable {
    let part: BlockPart
    let tokens: BlockTokens
    /// Whether its linear layers are in eight bits.
    let isQuantized: Bool

    /// Plans the kernels.
    func kernels(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ rotary: Rotary?, _ type: OperandType
    ) throws -> any SublayerKernels {
        switch (part, isQuantized) {
        // Keys that are rotated are not the same combination of tokens for all of them.
        case (.attention, _) where tokens.outputs < tokens.all && rotary == nil:
            try PooledTokenAttentionKernels(engine, c, tokens, type)
        case (.attention, true) where tokens.outputs == tokens.all:
            try Int8AttentionKernels(engine, c, tokens: tokens.all, rotary, type)
        case (.attention, _): try FloatAttentionKernels(engine, c, tokens, rotary, type)
        case (.mlp, false): try FloatMLPKernels(engine, c, tokens, type)
        case (.mlp, true): try Int8MLPKernels(engine, c, tokens, type)
        }
    }
}
