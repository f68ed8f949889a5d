import Compute
import Tensors

/// Everything of a forward pass that does not change from image to image: kernels planned for the model's shapes, and the
/// weights in the kernels' own layout. Shared by all threads.
///
/// Every image is computed by itself with kernels of fixed shape, so its answer has the same bits in any batch, in any
/// place of the batch and on any number of threads.
final class ForwardPlan: Sendable {
    /// A linear layer with its weights.
    struct Linear: Sendable {
        let kernel: Kernel
        let weights: FloatBuffer
        let bias: FloatBuffer?
    }

    /// The scale and shift of a layer normalization.
    struct Norm: Sendable {
        let scale: FloatBuffer
        let shift: FloatBuffer
    }

    /// One transformer block.
    struct Block: Sendable {
        let norm1: Norm
        /// Query, key and value as one layer; the query is already divided by the root of the head size.
        let qkv: Linear
        let attentionOutput: Linear
        let norm2: Norm
        /// The up branch of a gated MLP, else nil.
        let up: Linear?
        /// The MLP's first layer; in a gated MLP the gate, whose result is multiplied by the up branch.
        let first: Linear
        let second: Linear
    }

    let configuration: BackboneConfiguration
    /// Patches of one image.
    let patches: Int
    /// Prefix tokens and patches.
    let tokens: Int
    /// (tokens, D): what the tokens are before the patch embedding is added.
    let initialTokens: FloatBuffer
    let embedding: Linear
    let blocks: [Block]
    let finalNorm: Norm
    /// All heads as one layer, or nil when there is none.
    let heads: Linear?
    /// Logits of all heads together.
    let classes: Int
    /// What the features are: as many elements as the widest head reads, or all.
    let layout: FeatureLayout

    let norm: Kernel
    let scores: Kernel
    let softmax: Kernel
    let mix: Kernel
    /// The largest scratch memory that any kernel wants, in elements.
    let scratchCount: Int

    /// Plans the kernels and packs the weights, layers in parallel on the pool.
    ///
    /// - Throws: `ModelError`, `TensorFileError` or `ComputeError`.
    init(
        _ source: some ParameterSource, _ configuration: BackboneConfiguration, image: BackboneConfiguration.Extent,
        heads: [Head], givesFeatures: Bool, engine: KernelEngine, pool: WorkerPool
    ) throws {
        let c = configuration
        let grid = c.grid(for: image)
        let patches = grid.height * grid.width
        let tokens = patches + c.family.prefixTokens
        let d = c.hiddenSize
        self.configuration = c
        self.patches = patches
        self.tokens = tokens

        norm = try Kernel.layerNorm(engine, rows: tokens, columns: d, epsilon: c.layerNormEpsilon)
        scores = try Kernel.product(
            engine, m: tokens, k: c.headSize, n: tokens, sourceStride: 3 * d, otherStride: 3 * d, transposed: true,
            outputStride: tokens)
        softmax = try Kernel.softmax(engine, rows: tokens, columns: tokens)
        mix = try Kernel.product(
            engine, m: tokens, k: tokens, n: c.headSize, sourceStride: tokens, otherStride: 3 * d, transposed: false,
            outputStride: d)

        let loader = PlanLoader(source: source, configuration: c)
        let planned = try PlannedLayers(engine, c, tokens: tokens)
        let patchKernel = try Kernel.linear(
            engine, rows: patches, inputs: c.patchLength, outputs: d, accumulates: true)
        embedding = try loader.linear(ParameterNames.patchProjection, patchKernel)
        initialTokens = try loader.initialTokens(grid: grid, image: image)
        finalNorm = try loader.norm("layernorm")
        blocks = try loader.blocks(planned, pool: pool)
        classes = heads.reduce(0) { $0 + $1.classes.count }
        layout = FeatureLayout(
            width: d, prefixTokens: c.family.prefixTokens, patches: patches,
            featureSize: givesFeatures ? c.featureSize : heads.map { $0.weight.shape[1] }.max() ?? d)
        self.heads = try PlanLoader.heads(heads, classes: classes, featureSize: layout.featureSize, engine: engine)

        let kernels = [
            norm, scores, softmax, mix, patchKernel, planned.qkv, planned.attentionOutput, planned.first,
            planned.second,
        ]
        scratchCount =
            (kernels + [planned.up, self.heads?.kernel].compactMap(\.self)).map(\.scratchCount).max() ?? 0
    }
}

/// The kernels that all blocks share.
struct PlannedLayers: Sendable {
    let qkv: Kernel
    let attentionOutput: Kernel
    let up: Kernel?
    let first: Kernel
    let second: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, tokens: Int) throws {
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        qkv = try Kernel.linear(engine, rows: tokens, inputs: d, outputs: 3 * d)
        attentionOutput = try Kernel.linear(engine, rows: tokens, inputs: d, outputs: d, accumulates: true)
        up = c.usesSwiGLU ? try Kernel.linear(engine, rows: tokens, inputs: d, outputs: m) : nil
        first = try Kernel.linear(
            engine, rows: tokens, inputs: d, outputs: m, activation: c.usesSwiGLU ? .swish(alpha: 1) : c.activation,
            multiplies: c.usesSwiGLU)
        second = try Kernel.linear(engine, rows: tokens, inputs: m, outputs: d, accumulates: true)
    }
}
