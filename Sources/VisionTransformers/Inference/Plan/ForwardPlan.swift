import Compute
import Files
import Tensors

// The forward pass on a page, for one image. Names on the left are buffers of `ForwardBuffers`, those on the right
// weights of `PackedWeights`. T tokens, of which the first P are CLS and DeiT's distillation token; width D; H heads of
// S = D / H; MLP of width M; F features; C classes of all heads together. Matrices are row-major, a row per token.
//
//     patches       (T - P, 3·h·w)       pixels, from preprocessing
//     stream        (T, D)             = tokens                     CLS etc. and position embeddings
//     stream[P...]  (T - P, D)        += patches · embeddingᵀ + bias
//
//     in each block                                                 FloatAttention, Int8Attention
//         normalized     (T, D)        = layerNorm(stream, norm1)
//         qkv            (T, 3D)       = normalized · qkvᵀ + bias   √S is folded into the query's weights
//         in each head
//             scores        (T, T)     = q · kᵀ
//             probabilities (T, T)     = softmax(scores)
//             normalized    (T, S)     = probabilities · v          the head's columns
//         stream         (T, D)       += normalized · outputᵀ + bias    DINOv2's layer scale is folded in
//
//     where tokens are merged                                       TokenMergingStep
//         keys           (T - P, S)    = keys of `qkv`, averaged over heads, of unit length
//         scores                       = even rows of keys · odd rows of keysᵀ
//         stream         (T - r, D)    = the r rows most like another merged into it; T is T - r from here on
//         sizes          (T)           of how many patches a row is made: log(sizes) is added to scores, means are
//                                      weighted by sizes
//
//                                                                   FloatMLP, Int8MLP
//         normalized     (T, D)        = layerNorm(stream, norm2)
//         hidden         (T, M)        = activation(normalized · firstᵀ + bias)
//           or, gated:  up (T, M)      = normalized · upᵀ + bias
//                       hidden (T, M)  = silu(normalized · firstᵀ + bias) · up
//         stream         (T, D)       += hidden · secondᵀ + bias    layer scale folded in
//
//     final         (R, D)             = layerNorm(stream, layernorm)
//     features      (F)                = prefix tokens of `final`, then the mean of its patch tokens (`FeatureLayout`)
//     logits        (C)                = features · headsᵀ + bias
//
// What the last block leaves out. Only the first R tokens are read after it: CLS alone, as a rule. So it computes keys,
// values and everything after attention for no other token (`PooledTokenAttention`); exact, and almost a block less:
//
//         normalized     (T, D)        = layerNorm(stream, norm1)
//         qkv            (R, D)        = normalized[..<R] · queryᵀ + bias
//         in each head:  hidden (R, D) = q · keyᵀ                   what scores multiply tokens by
//         scores         (H·R, T)      = hidden · normalizedᵀ       all heads at once; key biases cancel in softmax
//         probabilities  (H·R, T)      = softmax(scores)
//         hidden[H·R...] (H·R, D)      = probabilities · normalized
//         in each head:  qkv[R...] (R, S) = hidden[H·R...] · valueᵀ + bias
//         stream[..<R]   (R, D)       += qkv[R...] · outputᵀ + bias
//         then the MLP for R tokens
//
// How precisions differ. `stream`, layer normalization, `scores`, softmax and the heads are f32 in all of them.
//
//     f32     every operand is f32.
//     bf16    operands of products (`patches`, `normalized`, `qkv`, `probabilities`, `hidden`, `up`, packed weights)
//             are rounded to bf16; products are summed in f32.
//     int8    linear layers of blocks, and attention between them, multiply bytes, but for those that are left in
//             floats (`BackboneWeights.floats`). All else is as in bf16, or f32 where the processor has no bf16.
//
//         int8.narrow    (T, D)        = quantize(layerNorm(stream, norm))    a scale and an offset for each row
//         hidden         (T, 3D)       = int8.narrow · qkvᵀ                   whole numbers, exactly
//         qkv            (T, 3D)       = scale and offset of rows, scale and bias of outputs applied to `hidden`
//         ... heads as above, or in eight bits (`Int8.HeadAttention`) ...
//         int8.narrow    (T, D)        = quantize(normalized)
//         stream         (T, D)       += scaled(int8.products = int8.narrow · outputᵀ)
//         int8.wide      (T, M)        = quantize(factor · activation(scaled(hidden = int8.narrow · firstᵀ)) [· up])
//         stream         (T, D)       += scaled(int8.products = int8.wide · secondᵀ)

/// Where a backbone's weights come from.
package struct BackboneWeights: Sendable {
    /// The parameters.
    package let source: any ParameterSource
    /// The backbone's blocks in eight bits; int8 is less exact and slower without.
    package let quantized: QuantizedWeights?
    /// What int8 leaves in floats; nil where `quantize` has not seen the backbone.
    private let floats: Set<BlockSublayer>?
    /// The streams of the tasks, in the order of the heads, or nil.
    let streams: TaskStreams?
    /// Where packed weights are kept for the next run, if they are.
    let cache: PackedCache?

    /// Weights; without a cache they are packed anew each time.
    ///
    /// - Parameter floats: what int8 leaves in floats; nil for what `quantize` left, and what is faster in floats on
    ///   this processor.
    package init(
        _ source: any ParameterSource, quantized: QuantizedWeights? = nil, floats: Set<BlockSublayer>? = nil,
        streams: TaskStreams? = nil, cache: PackedCache? = nil
    ) {
        (self.source, self.quantized, self.streams, self.cache) = (source, quantized, streams, cache)
        self.floats = floats ?? quantized?.floatsHere
    }

    /// What int8 leaves in floats of a number of blocks.
    func floats(_ blocks: Int) -> Set<BlockSublayer> { floats ?? BlockSublayer.inFloatsUnlessQuantized(blocks) }
}

/// Everything of a forward pass that does not change from image to image: kernels planned for the model's shapes, and
/// the weights in the kernels' own layout. Shared by all threads.
///
/// Every image is computed by itself with kernels of fixed shape, so its logits have the same bits in any batch, at any
/// position in it and on any number of threads.
final class ForwardPlan: Sendable {
    let shape: ForwardShape
    /// (T, D): the tokens before the patch embedding is added.
    let initialTokens: FloatBuffer
    let embedding: PackedLinear
    /// The sublayers of each block, in their order.
    let blocks: [[any Sublayer]]
    /// The normalization before the first block, if there is one, and the final one.
    let preNorm, finalNorm: LayerNorm?
    /// Of all tokens.
    let preNormKernel: LayerNormKernel
    /// Of the tokens that are read.
    let finalNormKernel: LayerNormKernel
    /// Of the features.
    let featureNormKernel: Kernel
    /// All heads as one layer, or nil when there is none.
    let heads: PackedLinear?
    /// The largest scratch memory that any kernel needs, in elements.
    let scratchCount: Int
    /// Writes the packed weights for the next run, if they had to be made; waited for when the plan goes.
    private let writer: PackedWriter?

    /// Plans the kernels and packs the weights, layers in parallel on the pool, or maps those that an earlier run has
    /// packed.
    ///
    /// - Throws: `ModelError`, `FileError`, or `ComputeError`, also when the processor has no instructions for the
    ///   precision.
    init(
        _ shape: ForwardShape, heads: [Head], _ weights: BackboneWeights, _ engine: KernelEngine, _ pool: WorkerPool
    ) throws {
        try shape.precision.check()
        self.shape = shape
        let kernels = try PlanKernels(engine, shape, floats: weights.floats(shape.configuration.layers))
        let layout = kernels.packedLayout
        let plan: PlanWeights
        if let layout, let packed = weights.cache?.weights(for: layout, pool),
            let mapped = try? PlanWeights(packed, kernels, shape)
        {
            (plan, writer) = (mapped, nil)
        } else {
            let loader = WeightLoader(source: weights.source, configuration: shape.configuration)
            plan = try PlanWeights(loader, weights.quantized, kernels, shape, pool)
            writer = layout.flatMap { weights.cache?.write([(plan.packed, $0)]) }
        }
        (embedding, initialTokens, blocks) = (plan.embedding, plan.initialTokens, plan.blocks)
        (preNorm, finalNorm) = (plan.preNorm, plan.finalNorm)
        (preNormKernel, finalNormKernel) = (kernels.preNorm, kernels.finalNorm)
        featureNormKernel = kernels.featureNorm
        self.heads = try PackedLinear(heads, featureSize: shape.features.featureSize, engine)
        scratchCount = max(kernels.scratchCount, self.heads?.kernel.scratchCount ?? 0)
    }

    /// Whether the weights are those that an earlier run has packed.
    var isMapped: Bool { initialTokens.isReadOnly }

    /// Multiplications and additions of one image's matrix products: 2·m·k·n each.
    var operations: Double {
        let c = shape.configuration
        let ends = 2 * Double(shape.patches * c.patchLength * c.hiddenSize + shape.classes * shape.features.featureSize)
        return shape.blocks.reduce(ends) { $0 + $1.operations(c) }
    }
}

/// A plan's weights but the heads', each with the kernel that reads it.
private struct PlanWeights {
    let embedding: PackedLinear
    let initialTokens: FloatBuffer
    let preNorm, finalNorm: LayerNorm?
    /// The sublayers of each block, in their order.
    let blocks: [[any Sublayer]]
    /// The same weights by name.
    let packed: PackedWeights

    private static let initialTokensName = "tokens"
    private static let finalNormName = "layernorm"

    /// Weights that are packed already.
    ///
    /// - Throws: `ModelError` when a weight is missing or does not have the size that its kernel wants.
    init(_ packed: PackedWeights, _ kernels: PlanKernels, _ shape: ForwardShape) throws {
        let width = shape.configuration.hiddenSize
        self.packed = packed
        embedding = try packed.linear(ParameterNames.patchProjection, kernels.embedding)
        initialTokens = try packed.buffer(Self.initialTokensName, count: shape.tokens * width)
        let anatomy = shape.configuration.anatomy
        preNorm = anatomy.hasPreNorm ? try packed.norm(ParameterNames.preNorm, width: width) : nil
        finalNorm = anatomy.finalNorm == .none ? nil : try packed.norm(Self.finalNormName, width: width)
        blocks = try kernels.blocks.enumerated().map { layer, sublayers in
            let weights = BlockWeights(packed, layer: layer)
            return kernels.withMerging(try sublayers.map { try $0.sublayer(weights) }, layer)
        }
    }

    /// Loads and packs the weights, blocks in parallel.
    ///
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ loader: WeightLoader, _ quantized: QuantizedWeights?, _ kernels: PlanKernels, _ shape: ForwardShape,
        _ pool: WorkerPool
    ) throws {
        embedding = try PackedLinear(loader.patchEmbedding(), kernels.embedding)
        initialTokens = try loader.initialTokens(for: shape.imageSize)
        let anatomy = shape.configuration.anatomy
        preNorm = anatomy.hasPreNorm ? try loader.norm(ParameterNames.preNorm) : nil
        finalNorm = anatomy.finalNorm == .none ? nil : try loader.norm(Self.finalNormName)
        let counter = LongWork.Counter("preparing layers", of: kernels.blocks.count)
        let parts = try pool.map(kernels.blocks.count) { layer in
            try counter.check()
            defer { counter.count() }
            let weights = BlockWeights(loader, quantized, layer: layer)
            let sublayers = try kernels.blocks[layer].map { try $0.sublayer(weights) }
            return (sublayers: kernels.withMerging(sublayers, layer), packed: weights.packed)
        }
        blocks = parts.map(\.sublayers)
        var packed = PackedWeights()
        packed.add(ParameterNames.patchProjection, embedding)
        packed.add(Self.initialTokensName, initialTokens)
        if let preNorm { packed.add(ParameterNames.preNorm, preNorm) }
        if let finalNorm { packed.add(Self.finalNormName, finalNorm) }
        for part in parts { packed.add(part.packed) }
        self.packed = packed
    }
}
