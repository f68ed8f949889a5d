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

    let configuration: BackboneConfiguration
    /// Patches of one image.
    let patches: Int
    /// Prefix tokens and patches.
    let tokens: Int
    /// (tokens, D): what the tokens are before the patch embedding is added.
    let initialTokens: FloatBuffer
    let embedding: Linear
    /// The sublayers of each block, in their order.
    let blocks: [[any Sublayer]]
    let finalNorm: Norm
    /// All heads as one layer, or nil when there is none.
    let heads: Linear?
    /// Logits of all heads together.
    let classes: Int
    /// What the features are: as many elements as the widest head reads, or all.
    let layout: FeatureLayout

    /// The tokens that are read after the last block: the first so many.
    let read: Int
    /// In what numbers it multiplies.
    let precision: InferencePrecision
    /// The final layer normalization, of the tokens that are read.
    let finalNormKernel: NormKernel
    /// The largest scratch memory that any kernel wants, in elements.
    let scratchCount: Int
    /// Writes the packed weights for the next run, if they had to be made; waited for when the plan goes.
    private let writer: PackedWriter?

    /// Plans the kernels and packs the weights, layers in parallel on the pool, or maps those that an earlier run has packed.
    ///
    /// The last block is computed only for the tokens that are read (see `ReadAttentionKernels`): exact, and almost a block less.
    ///
    /// - Parameters:
    ///   - givesFeatures: all parts of the features are read, whatever the heads read.
    ///   - givesAllTokens: all tokens are read.
    ///   - rounded: the blocks in eight bits, for int8, if `quantize` has rounded them.
    ///   - cache: where packed weights are kept, if they are.
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ source: some ParameterSource, _ configuration: BackboneConfiguration, image: BackboneConfiguration.Extent,
        heads: [Head], givesFeatures: Bool, givesAllTokens: Bool, precision: InferencePrecision,
        rounded: RoundedWeights?, cache: PackedCache?, engine: KernelEngine, pool: WorkerPool
    ) throws {
        let c = configuration
        let grid = c.grid(for: image)
        let patches = grid.height * grid.width
        let tokens = patches + c.family.prefixTokens
        try precision.check()
        self.configuration = c
        self.patches = patches
        self.tokens = tokens
        self.precision = precision
        let layout = FeatureLayout(
            width: c.hiddenSize, prefixTokens: c.family.prefixTokens, patches: patches,
            featureSize: givesFeatures ? c.featureSize : heads.map { $0.weight.shape[1] }.max() ?? c.hiddenSize)
        self.layout = layout

        let read = givesAllTokens ? tokens : layout.tokens
        self.read = read
        let kernels = try PlanKernels(
            engine, c, image: image, tokens: BlockTokens(all: tokens, read: read), precision,
            isCalibrated: rounded != nil)
        let weights: PlanWeights
        if let packed = cache?.weights(for: kernels, pool), let kept = try? PlanWeights(packed, kernels, c) {
            (weights, writer) = (kept, nil)
        } else {
            let packed = try PlanLoader(source: source, configuration: c)
                .pack(kernels, image: image, rounded, pool)
            weights = try PlanWeights(packed, kernels, c)
            writer = cache?.keep(packed, for: kernels)
        }
        (embedding, initialTokens, blocks) = (weights.embedding, weights.initialTokens, weights.blocks)
        finalNorm = weights.finalNorm
        finalNormKernel = kernels.finalNorm
        classes = heads.reduce(0) { $0 + $1.classes.count }
        self.heads = try PlanLoader.heads(heads, classes: classes, featureSize: layout.featureSize, engine: engine)
        scratchCount = max(kernels.scratchCount, self.heads?.kernel.scratchCount ?? 0)
    }

    /// Whether the weights are those that an earlier run has packed.
    var isMapped: Bool { initialTokens.isReadOnly }

    /// Multiplications and additions of one image's matrix products: 2·m·k·n each.
    var operations: Double {
        let c = configuration
        let (t, d, m) = (Double(tokens), Double(c.hiddenSize), Double(c.intermediateSize))
        let attention = 2 * t * (4 * d * d + 2 * t * d)
        let last = read < tokens ? ReadAttentionKernels.operations(c, tokens: tokens, read: read) : attention
        let mlp = 2 * (c.usesSwiGLU ? 3 : 2) * d * m
        let ends = 2 * Double(patches * c.patchLength * c.hiddenSize + classes * layout.featureSize)
        return (attention + t * mlp) * Double(c.layers - 1) + last + Double(read) * mlp + ends
    }
}
