import Compute
import Files
import Images
import Tensors

/// Everything of a training pass that does not change from image to image: kernels, the frozen weights in the kernels'
/// own layout for either direction, and the trained tensors. Shared by all threads.
final class TrainingPlan: Sendable {
    /// A linear layer, and the layer that gradients pass through on their way back, if they do.
    struct Layer: Sendable {
        let forward: PackedLinear
        let backward: PackedLinear?
        /// Its trained modules.
        let modules: [ModulePlan]
        /// The weight as a plain matrix, (outputs, inputs), for a layer with a densely trained module.
        let plain: FloatBuffer?
    }

    /// One transformer block.
    struct Block: Sendable {
        let kernels: BlockKernels
        let norm1: LayerNorm
        let qkv: Layer
        let attentionOutput: Layer
        let norm2: LayerNorm
        /// A gated MLP's up branch.
        let up: Layer?
        /// The MLP's first layer, or a gated MLP's gate.
        let first: Layer
        let second: Layer
        /// What is added to the scores, (heads, R, stride), or nil.
        let scoreBias: FloatBuffer?

        var layers: [Layer] { [qkv, attentionOutput, first, second] + (up.map { [$0] } ?? []) }
    }

    let configuration: BackboneConfiguration
    let patches: Int
    let tokens: Int
    let layout: FeatureLayout
    let dropout: Dropout
    /// The type of the operands of the blocks' products.
    let precision: OperandType
    /// (tokens, D): the tokens before the patch embedding is added.
    let initialTokens: FloatBuffer
    let embedding: PackedLinear
    /// How queries and keys are rotated, in families that do that.
    let rotary: Rotary?
    let blocks: [Block]
    /// The normalization before the first block, if there is one, and the final one.
    let preNorm, finalNorm: LayerNorm?
    /// Of all tokens, of those that are read, and of the features.
    let preNormKernel, finalNormKernel, featureNormKernel: Kernel
    /// In the order in which they were given.
    let modules: [ModulePlan]
    /// The depth (see `ModuleSite`) of the first trained module; nothing below it is computed backward.
    let lowest: Int
    /// The largest scratch memory that any kernel needs, in elements.
    let scratchCount: Int

    /// Plans kernels, packs weights, layers in parallel on the pool.
    ///
    /// - Parameter hasGradients: whether gradients are computed; otherwise the modules are there to be set.
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ source: some ParameterSource, _ c: BackboneConfiguration, image: ImageSize,
        modules: [TrainedModule], featureParts: Int, dropout: Double, precision: OperandType,
        hasGradients: Bool = true, engine: KernelEngine, pool: WorkerPool
    ) throws {
        let grid = c.grid(for: image)
        let (patches, d) = (grid.height * grid.width, c.hiddenSize)
        let tokens = patches + c.prefix.count
        configuration = c
        (self.patches, self.tokens) = (patches, tokens)
        self.dropout = Dropout(probability: dropout)
        self.precision = precision
        layout = FeatureLayout(c, patches: patches, featureSize: d * featureParts)
        func kernels(outputs: Int) throws -> BlockKernels {
            try BlockKernels(engine, c, tokens: tokens, outputs: outputs, precision: precision)
        }
        let all = try kernels(outputs: tokens)
        let last = layout.tokens == tokens ? all : try kernels(outputs: layout.tokens)
        let loader = WeightLoader(source: source, configuration: c)
        let planner = ModuleKernels(engine, c, precision)
        let trained = try modules.enumerated().map { number, module in
            let site = try ModuleSite(module.name, c)
            let kernels = site.layer == c.layers - 1 ? last : all
            return try ModulePlan(
                module, site, factors: try loader.outputFactors(of: module.name, outputs: site.outputs),
                number: number, rows: site.input == .attentionInput ? tokens : kernels.outputs, kernels: planner)
        }
        self.modules = trained
        let lowest = hasGradients ? trained.map(\.site.depth).min() ?? .max : .max
        self.lowest = lowest
        let patchKernel = try Kernel.linear(
            engine, rows: patches, inputs: c.patchLength, outputs: d, accumulates: true)
        embedding = try PackedLinear(loader.patchEmbedding(), patchKernel)
        initialTokens = try loader.initialTokens(for: image)
        rotary = c.rotary(for: image)
        preNorm = c.anatomy.hasPreNorm ? try loader.norm(ParameterNames.preNorm) : nil
        finalNorm = c.anatomy.finalNorm == .none ? nil : try loader.norm("layernorm")
        (preNormKernel, finalNormKernel) = (all.norm1, last.norm2)
        featureNormKernel = try Kernel.layerNorm(engine, rows: 1, columns: d, epsilon: c.layerNormEpsilon)
        let counter = LongWork.Counter("preparing layers", of: c.layers)
        blocks = try pool.map(c.layers) { layer in
            try counter.check()
            defer { counter.count() }
            return try TrainingBlockLoader(loader: loader, layer: layer, modules: trained, lowest: lowest)
                .block(layer == c.layers - 1 ? last : all)
        }
        scratchCount =
            ([all.scratchCount, last.scratchCount, patchKernel.scratchCount] + trained.map(\.scratchCount)).max() ?? 0
    }
}

/// Brings a block's weights into the kernels' layout for both directions.
struct TrainingBlockLoader {
    let loader: WeightLoader
    let layer: Int
    let modules: [ModulePlan]
    let lowest: Int

    func block(_ kernels: BlockKernels) throws -> TrainingPlan.Block {
        let prefix = "layers.\(layer)"
        let mlp = loader.configuration.mlpNames(layer)
        return TrainingPlan.Block(
            kernels: kernels, norm1: try loader.norm("\(prefix).norm1"),
            qkv: try self.layer(
                loader.attentionInput(layer), .attentionInput, kernels.qkv, kernels.qkvBackward),
            attentionOutput: try self.layer(
                loader.linear("\(prefix).attention.o_proj"), .attentionOutput, kernels.attentionOutput,
                kernels.attentionOutputBackward),
            norm2: try loader.norm("\(prefix).norm2"),
            up: try mlp.up.map {
                try self.layer(loader.linear($0), .mlpInput, position: 1, kernels.first, kernels.firstBackwardAdded)
            },
            first: try self.layer(
                loader.linear(mlp.first), .mlpInput, position: 0, kernels.first, kernels.firstBackward),
            second: try self.layer(loader.linear(mlp.second), .mlpHidden, kernels.second, kernels.secondBackward),
            scoreBias: loader.configuration.anatomy.hasScoreBias
                ? FloatBuffer(
                    try loader.scoreBias(layer, rows: kernels.outputs, stride: Softmax.stride(kernels.tokens))) : nil)
    }

    /// A layer; `position` tells a gated MLP's branches apart.
    private func layer(
        _ weights: LinearWeights, _ site: LayerSite, position: Int? = nil, _ forward: Kernel, _ backward: Kernel
    ) throws -> TrainingPlan.Layer {
        let modules = modules.filter {
            $0.site.layer == layer && $0.site.input == site && (position == nil || $0.site.position == position)
        }
        // Modules trained before this layer need the gradient of the layer's input.
        let passes = lowest < ModuleSite.depth(layer, site)
        let isDense = modules.contains { if case .dense = $0.form { true } else { false } }
        return TrainingPlan.Layer(
            forward: try PackedLinear(weights, forward),
            backward: passes ? try PackedLinear(weights, backward, transposed: true) : nil,
            modules: modules, plain: isDense ? FloatBuffer(weights.weight) : nil)
    }
}

extension TrainingPlan.Layer {
    /// Packs the weight again, with the optimiser's changes of its densely trained modules.
    ///
    /// - Throws: `ComputeError` when a kernel refuses.
    func repack() throws {
        guard let plain else { return }
        var weight = Array(plain.elements)
        for module in modules {
            guard case .dense(_, let delta) = module.form else { continue }
            let columns = module.site.inputs
            let start = module.site.input == .attentionInput ? module.site.position * module.site.outputs : 0
            for (row, factor) in module.factors.enumerated() {
                weight.withUnsafeMutableBufferPointer { weight in
                    guard let base = weight.baseAddress else { return }
                    RowKernels.add(
                        delta.values.base + row * columns, times: factor, to: base + (start + row) * columns,
                        count: columns)
                }
            }
        }
        try forward.kernel.repack(weight, into: forward.weights)
        if let backward { try backward.kernel.repack(weight, transposed: true, into: backward.weights) }
    }
}
