import Compute
import Files
import Tensors

/// Everything of a trainable pass that does not change from image to image: kernels, the frozen weights in the kernels' own
/// layout for either direction, and what is trained. Shared by all threads.
final class TrainingPlan: Sendable {
    /// A linear layer with what gradients pass through backward, if they have to.
    struct Layer: Sendable {
        let forward: ForwardPlan.Linear
        let backward: ForwardPlan.Linear?
        /// The modules that are trained in it.
        let modules: [ModulePlan]
        /// The weight as a plain matrix, (outputs, inputs), kept when a module is trained densely.
        let plain: FloatBuffer?
    }

    /// One transformer block.
    struct Block: Sendable {
        let kernels: BlockKernels
        let norm1: ForwardPlan.Norm
        let qkv: Layer
        let attentionOutput: Layer
        let norm2: ForwardPlan.Norm
        /// A gated MLP's up branch.
        let up: Layer?
        /// The MLP's first layer, or a gated MLP's gate.
        let first: Layer
        let second: Layer

        var layers: [Layer] { [qkv, attentionOutput, first, second] + (up.map { [$0] } ?? []) }
    }

    let configuration: BackboneConfiguration
    let patches: Int
    let tokens: Int
    let layout: FeatureLayout
    let dropout: Dropout
    /// How the operands of the blocks' products are stored.
    let precision: Precision
    /// (tokens, D): what the tokens are before the patch embedding is added.
    let initialTokens: FloatBuffer
    let embedding: ForwardPlan.Linear
    let blocks: [Block]
    let finalNorm: ForwardPlan.Norm
    let finalNormKernel: Kernel
    /// In the order in which they were given.
    let modules: [ModulePlan]
    /// The depth (see `ModulePlace`) of the first trained module; nothing below it is computed backward.
    let lowest: Int
    /// The largest scratch memory that any kernel wants, in elements.
    let scratchCount: Int

    /// Plans kernels, packs weights, layers in parallel on the pool.
    ///
    /// - Throws: `ModelError`, `FileError` or `ComputeError`.
    init(
        _ source: some ParameterSource, _ c: BackboneConfiguration, image: BackboneConfiguration.Extent,
        modules: [TrainedModule], featureParts: Int, dropout: Double, precision: Precision, engine: KernelEngine,
        pool: WorkerPool
    ) throws {
        let grid = c.grid(for: image)
        let (patches, d) = (grid.height * grid.width, c.hiddenSize)
        let tokens = patches + c.family.prefixTokens
        configuration = c
        (self.patches, self.tokens) = (patches, tokens)
        self.dropout = Dropout(probability: dropout)
        self.precision = precision
        layout = FeatureLayout(
            width: d, prefixTokens: c.family.prefixTokens, patches: patches, featureSize: d * featureParts)
        func kernels(outputs: Int) throws -> BlockKernels {
            try BlockKernels(engine, c, tokens: tokens, outputs: outputs, precision: precision)
        }
        let all = try kernels(outputs: tokens)
        let last = layout.tokens == tokens ? all : try kernels(outputs: layout.tokens)
        let loader = PlanLoader(source: source, configuration: c)
        let planner = ModuleKernels(engine, c, precision)
        let trained = try modules.enumerated().map { number, module in
            let place = try ModulePlace(module.name, c)
            let kernels = place.layer == c.layers - 1 ? last : all
            return try ModulePlan(
                module, place, factors: try loader.outputFactors(of: module.name, outputs: place.outputs),
                number: number, rows: place.place == .attentionInput ? tokens : kernels.outputs, kernels: planner)
        }
        self.modules = trained
        let lowest = trained.map(\.place.depth).min() ?? .max
        self.lowest = lowest
        let patchKernel = try Kernel.linear(
            engine, rows: patches, inputs: c.patchLength, outputs: d, accumulates: true)
        embedding = try loader.linear(ParameterNames.patchProjection, patchKernel)
        initialTokens = try loader.initialTokens(grid: grid, image: image)
        finalNorm = try loader.norm("layernorm")
        finalNormKernel = last.norm2
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
    let loader: PlanLoader
    let layer: Int
    let modules: [ModulePlan]
    let lowest: Int

    func block(_ kernels: BlockKernels) throws -> TrainingPlan.Block {
        let prefix = "layers.\(layer)"
        let gated = loader.configuration.usesSwiGLU
        func named(_ name: String) throws -> PlanLoader.Plain {
            try loader.plain("\(prefix).\(name)", rowScale: loader.rowScale(of: "\(prefix).\(name)"))
        }
        return TrainingPlan.Block(
            kernels: kernels, norm1: try loader.norm("\(prefix).norm1"),
            qkv: try layer(
                loader.plainAttentionInput(layer), .attentionInput, kernels.qkv, kernels.qkvBackward),
            attentionOutput: try layer(
                named("attention.o_proj"), .attentionOutput, kernels.attentionOutput, kernels.attentionOutputBackward),
            norm2: try loader.norm("\(prefix).norm2"),
            up: gated
                ? try layer(
                    named("mlp.up_proj"), .mlpInput, position: 1, kernels.first, kernels.firstBackwardAdded) : nil,
            first: try layer(
                named(gated ? "mlp.gate_proj" : "mlp.fc1"), .mlpInput, position: 0, kernels.first,
                kernels.firstBackward),
            second: try layer(
                named(gated ? "mlp.down_proj" : "mlp.fc2"), .mlpHidden, kernels.second, kernels.secondBackward))
    }

    /// A layer; `position` tells a gated MLP's branches apart.
    private func layer(
        _ plain: PlanLoader.Plain, _ place: LayerInput.Place, position: Int? = nil, _ forward: Kernel,
        _ backward: Kernel
    ) throws -> TrainingPlan.Layer {
        let own = modules.filter {
            $0.place.layer == layer && $0.place.place == place && (position == nil || $0.place.position == position)
        }
        // What is trained before this layer needs the gradient of the layer's input.
        let passes = lowest < ModulePlace.depth(layer, place)
        let isDense = own.contains { if case .dense = $0.form { true } else { false } }
        return TrainingPlan.Layer(
            forward: try loader.pack(plain, forward),
            backward: passes
                ? ForwardPlan.Linear(
                    kernel: backward,
                    weights: try plain.weight.withUnsafeBufferPointer { try backward.pack($0, transposed: true) },
                    bias: nil) : nil,
            modules: own, plain: isDense ? FloatBuffer(plain.weight) : nil)
    }
}

extension TrainingPlan.Layer {
    /// Brings the weight with what the optimiser made of its dense modules into the kernels' layout.
    ///
    /// - Throws: `ComputeError` when a kernel refuses.
    func repack() throws {
        guard let plain else { return }
        var weight = Array(plain.elements)
        for module in modules {
            guard case .dense(_, let delta) = module.form else { continue }
            let columns = module.place.inputs
            let start = module.place.place == .attentionInput ? module.place.position * module.place.outputs : 0
            for (row, factor) in module.factors.enumerated() {
                weight.withUnsafeMutableBufferPointer { weight in
                    guard let base = weight.baseAddress else { return }
                    RowKernels.add(
                        delta.values.base + row * columns, times: factor, to: base + (start + row) * columns,
                        count: columns)
                }
            }
        }
        try weight.withUnsafeBufferPointer { weight in
            try forward.kernel.repack(weight, into: forward.weights)
            if let backward { try backward.kernel.repack(weight, transposed: true, into: backward.weights) }
        }
    }
}
