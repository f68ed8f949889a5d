import Compute
import Tensors

/// All kernels of a forward pass but the heads'.
struct PlanKernels: Sendable {
    private let shape: ForwardShape
    /// Patches to tokens, added to the initial tokens.
    let embedding: Kernel
    /// Of each block's sublayers in their order, shared by blocks that compute the same.
    let blocks: [[any SublayerKernels]]
    /// The token merging of each block, where there is any.
    let merging: [TokenMergingStep?]
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
    /// - Parameter floats: what int8 leaves in floats.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    init(_ engine: KernelEngine, _ shape: ForwardShape, floats: Set<BlockSublayer>) throws {
        let (c, type) = (shape.configuration, shape.precision.operandType)
        self.shape = shape
        embedding = try Kernel.linear(
            engine, rows: shape.patches, inputs: c.patchLength, outputs: c.hiddenSize, accumulates: true,
            operands: type)
        preNorm = try LayerNormKernel(engine, c, rows: shape.tokens, .f32)
        finalNorm = try LayerNormKernel(engine, c, rows: shape.outputs, .f32)
        featureNorm = try Kernel.layerNorm(engine, rows: 1, columns: c.hiddenSize, epsilon: c.layerNormEpsilon)
        let rotary = shape.rotary
        var planned: [SublayerKind: any SublayerKernels] = [:]
        merging = try shape.blocks.map { try TokenMergingStep(engine, c, $0, patches: shape.patches) }
        blocks = try shape.blocks.enumerated().map { layer, block in
            func isInt8(_ part: BlockPart) -> Bool {
                shape.precision == .int8 && !floats.contains(BlockSublayer(layer: layer, part))
            }
            // Where few tokens are read, all is in floats.
            let isWhole = !block.attention.poolsTokens
            let attention = SublayerKind.attention(
                block.attention, weighsTokens: block.attention.all < shape.tokens,
                linear: isWhole && isInt8(.attention), scores: isWhole && isInt8(.scores))
            return try [attention, .mlp(block.mlp, linear: isInt8(.mlp))].map { kind in
                if let kernels = planned[kind] { return kernels }
                let kernels = try kind.kernels(engine, c, rotary, type)
                planned[kind] = kernels
                return kernels
            }
        }
        let others = [embedding, featureNorm] + preNorm.kernels + finalNorm.kernels
        let scratchCounts =
            others.map(\.scratchCount) + blocks.joined().map(\.scratchCount) + merging.map { $0?.scratchCount ?? 0 }
        scratchCount = scratchCounts.max() ?? 0
    }

    /// A block's sublayers with its token merging, if it has any, between attention and MLP.
    func withMerging(_ sublayers: [any Sublayer], _ layer: Int) -> [any Sublayer] {
        guard let merging = merging[layer] else { return sublayers }
        return [sublayers[0], merging] + sublayers[1...]
    }

    /// What packed weights depend on besides the model: precision, size of images, tokens, and each layer's layout. Nil
    /// where the library does not say how weights are laid out.
    var packedLayout: PackedLayout? {
        let precision = shape.precision
        return PackedLayout(
            format: "\(precision)", isQuantized: precision == .int8,
            "\(precision), \(precision.operandType), images of \(shape.imageSize), "
                + "\(shape.poolsTokens ? shape.outputs : shape.tokens) of \(shape.tokens) tokens, "
                + "\(shape.blocks.count) blocks",
            [embedding] + blocks.joined().flatMap(\.linearKernels))
    }
}

/// What sublayers that share their kernels have in common: their tokens, and whether they are in eight bits.
private enum SublayerKind: Hashable {
    /// Attention, and whether it counts tokens as often as they are large.
    case attention(BlockTokens, weighsTokens: Bool, linear: Bool, scores: Bool)
    case mlp(BlockTokens, linear: Bool)

    /// Plans the kernels.
    func kernels(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ rotary: Rotary?, _ type: OperandType
    ) throws -> any SublayerKernels {
        switch self {
        // Keys that are rotated are not the same combination of tokens for all of them.
        case .attention(let tokens, let weighsTokens, _, _) where tokens.poolsTokens && rotary == nil:
            return try PooledTokenAttentionKernels(engine, c, tokens, weighsTokens: weighsTokens, type)
        case .attention(let tokens, let weighsTokens, let linear, let scores):
            let heads = try AttentionHeadKernels(
                engine, c, tokens, rotary, weighsTokens: weighsTokens, isInt8: scores, type)
            return linear
                ? try Int8AttentionKernels(engine, c, tokens: tokens.all, heads, type)
                : try FloatAttentionKernels(engine, c, tokens, heads, type)
        case .mlp(let tokens, false): return try FloatMLPKernels(engine, c, tokens, type)
        case .mlp(let tokens, true): return try Int8MLPKernels(engine, c, tokens, type)
        }
    }
}
