package import Compute
package import Images
import Synchronization
import Tensors

/// A frozen backbone with trained modules: computes features of images, and takes a loss's gradient by the features to
/// that by the trained tensors. The caller supplies the loss.
///
/// Each image is computed by one thread (see `ForwardPlan`). Gradients are added up in a fixed number of lanes: lane l
/// takes images l, l + lanes, l + 2·lanes ... in order, and the lanes are added in order. So they have the same bits on
/// any number of threads. Not safe for use by several callers at once.
package final class TrainableBackbone {
    /// The backbone's shape.
    package let configuration: BackboneConfiguration
    /// Values of one image's input: patches in row-major order, each (channel, row, column).
    package let inputCount: Int
    /// Values of one image's features: the first parts of what heads may read (see `FeatureParts`).
    package let featureCount: Int
    /// The trained tensors in the order of the modules, zero at first. After changing the values call `refresh`.
    package let tensors: [TrainedTensor]
    /// How many threads work on a batch.
    package var workers: Int { pool.workers }

    /// Computes the gradient of one image's loss by its features, and writes it to `gradient`.
    ///
    /// Called on several threads at once, each with its own worker number below `workers`.
    package typealias Loss = (
        _ worker: Int, _ image: Int, _ features: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>
    ) throws -> Void

    private let plan: TrainingPlan
    private let layout: GradientLayout
    private let pool: WorkerPool
    private let passes: [TrainingPass]
    private let lanes: [FloatBuffer]

    /// Plans the passes.
    ///
    /// - Parameters:
    ///   - source: where the weights come from.
    ///   - imageSize: the size of the images, as preprocessing gives them.
    ///   - modules: the trained modules, each once.
    ///   - featureParts: the number of parts of the features. With prefix tokens alone the last block's other tokens
    ///     are left out after attention.
    ///   - dropout: the probability of dropout before low-rank modules, in 0..<1.
    ///   - precision: the type of the operands of the blocks' products: weights, inputs of layers, and gradients on
    ///     their way down. Trained tensors and their gradients, layer normalization, softmax and the residual stream
    ///     are always f32.
    ///   - lanes: the number of sums that gradients are added up in; at most this many threads work on a batch.
    ///   - threads: how many images are computed at the same time.
    /// - Throws: `ModelError` when a module or the size does not fit the model; `FileError`, `ComputeError`.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        modules: [TrainedModule], featureParts: Int, dropout: Double = 0, precision: OperandType = .f32,
        lanes: Int = 8, threads: Int
    ) throws {
        try configuration.checkImageSize(imageSize)
        try Self.check(modules, featureParts: featureParts, dropout: dropout, configuration)
        try precision.check()
        self.configuration = configuration
        let engine = try KernelEngine()
        let pool = try WorkerPool(workers: min(threads, max(lanes, 1)))
        let plan = try TrainingPlan(
            source, configuration, image: imageSize, modules: modules, featureParts: featureParts, dropout: dropout,
            precision: precision, engine: engine, pool: pool)
        let layout = GradientLayout(plan.modules)
        (self.pool, self.plan, self.layout) = (pool, plan, layout)
        passes = try (0..<pool.workers).map { _ in try TrainingPass(plan, layout: layout) }
        self.lanes = (0..<max(lanes, 1)).map { _ in FloatBuffer(count: layout.count) }
        inputCount = plan.patches * configuration.patchLength
        featureCount = plan.layout.featureSize
        tensors = plan.modules.flatMap(\.tensors)
    }

    private static func check(
        _ modules: [TrainedModule], featureParts: Int, dropout: Double, _ c: BackboneConfiguration
    ) throws {
        var names: Set<String> = []
        for module in modules {
            guard names.insert(module.name).inserted else { throw ModelError(module.name, "trained twice") }
            if case .lowRank(let rank, let scale) = module.form {
                guard (1...TrainedModule.maximumRank).contains(rank) else {
                    throw ModelError(module.name, "rank: expected 1 to \(TrainedModule.maximumRank), found \(rank)")
                }
                guard scale.isFinite else { throw ModelError(module.name, "scale: expected a number, found \(scale)") }
            }
        }
        guard (1...c.featureParts).contains(featureParts) else {
            throw ModelError(
                c.family.name,
                "expected 1 to \(c.featureParts) parts of the features, found \(featureParts)")
        }
        guard (0..<1).contains(dropout) else {
            throw ModelError("dropout", "expected at least 0 and less than 1, found \(dropout)")
        }
    }

    /// Brings the tensors' current values to the passes.
    ///
    /// - Throws: `ComputeError` when a changed weight cannot be packed.
    package func refresh() throws {
        for module in plan.modules { module.refresh() }
        let layers = plan.blocks.flatMap(\.layers).filter { $0.plain != nil }
        _ = try pool.map(layers.count) { try layers[$0].repack() }
    }

    /// Computes features of a batch of any size, without dropout.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - features: called for every image, on several threads at once, with its features.
    /// - Throws: `ComputeError` when a kernel fails.
    package func run(
        _ inputs: UnsafePointer<Float>, images: Int, features: (_ image: Int, UnsafePointer<Float>) -> Void
    ) throws {
        try forEach(images) { worker, image in
            let pass = passes[worker]
            try pass.forward(inputs + image * inputCount, key: nil)
            features(image, pass.features.base)
        }
    }

    /// Computes the gradient of a batch's loss by the trained tensors, and leaves it in them.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - dropout: a key for the batch's dropout, such as `Dropout.key(seed, step)`; nil for none.
    ///   - loss: computes each image's part.
    /// - Throws: what `loss` throws; `ComputeError` when a kernel fails.
    package func gradients(
        _ inputs: UnsafePointer<Float>, images: Int, dropout: UInt64?, loss: Loss
    ) throws {
        try addUp(images) { worker, image in
            let (pass, key) = (passes[worker], dropout.map { Dropout.key($0, UInt64(image)) })
            try pass.forward(inputs + image * inputCount, key: key)
            try loss(worker, image, pass.features.base, pass.featureGradient.base)
            try pass.backward(key: key)
        }
    }

    /// Computes the gradient of one image's loss by the tokens that a block's attention reads, and adds it to
    /// `gradient`; both are (tokens, D), all tokens. Called as `Loss` is, for every block but the first.
    typealias TokenLoss = (
        _ worker: Int, _ image: Int, _ layer: Int, _ tokens: UnsafePointer<Float>,
        _ gradient: UnsafeMutablePointer<Float>
    ) throws -> Void

    /// The same for a loss of the tokens that attention reads. Modules of the last block have no gradient.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - loss: computes each image's part.
    /// - Throws: what `loss` throws; `ComputeError` when a kernel fails.
    func tokenGradients(_ inputs: UnsafePointer<Float>, images: Int, loss: TokenLoss) throws {
        try addUp(images) { worker, image in
            let pass = passes[worker]
            try pass.forwardTokens(inputs + image * inputCount)
            try pass.backwardTokens { try loss(worker, image, $0, $1, $2.base) }
        }
    }

    /// Adds up the gradients of images in lanes, and leaves them in the tensors.
    ///
    /// - Parameter body: adds the gradients of an image to those of a worker's pass.
    private func addUp(_ images: Int, _ body: (_ worker: Int, _ image: Int) throws -> Void) throws {
        let used = min(lanes.count, images)
        try forEach(used) { worker, lane in
            let pass = passes[worker]
            pass.gradients.clear()
            for image in stride(from: lane, to: images, by: lanes.count) { try body(worker, image) }
            lanes[lane].base.update(from: pass.gradients.values.base, count: layout.count)
        }
        pool.forEach(plan.modules.count) { _, number in
            let module = plan.modules[number]
            for (index, tensor) in module.tensors.enumerated() {
                sum(tensor, at: layout.offsets[number][index], lanes: used, factors: module.gradientFactors[index])
            }
        }
    }

    /// Adds up a tensor's gradient over the lanes, and multiplies its rows.
    private func sum(_ tensor: TrainedTensor, at offset: Int, lanes used: Int, factors: [Float]?) {
        let gradient = tensor.gradient.base
        gradient.update(repeating: 0, count: tensor.gradient.count)
        for lane in lanes.prefix(used) {
            RowKernels.add(lane.base + offset, to: gradient, count: tensor.gradient.count)
        }
        guard let factors else { return }
        let columns = tensor.gradient.count / factors.count
        for (row, factor) in factors.enumerated() where factor != 1 {
            for index in row * columns..<(row + 1) * columns { gradient[index] *= factor }
        }
    }

    /// Multiplications and additions of one image's matrix products, forward and backward, for reports: 2·m·k·n of each
    /// that is computed.
    package var operationsPerImage: Double {
        let c = configuration
        let (t, d, m) = (Double(plan.tokens), Double(c.hiddenSize), Double(c.intermediateSize))
        var sum = Double(inputCount) * d
        for module in plan.modules {
            sum += module.products(passes: plan.lowest < module.site.depth)
        }
        for block in plan.blocks {
            let r = Double(block.kernels.outputs)
            func add(_ layer: TrainingPlan.Layer, _ products: Double) {
                sum += products * (layer.backward == nil ? 1 : 2)
            }
            add(block.qkv, 3 * t * d * d)
            add(block.attentionOutput, r * d * d)
            add(block.first, r * d * m)
            if let up = block.up { add(up, r * d * m) }
            add(block.second, r * d * m)
            sum += 2 * r * t * d * (block.attentionOutput.backward == nil ? 1 : 3)
        }
        return 2 * sum
    }

    private func forEach(_ count: Int, _ body: (_ worker: Int, _ item: Int) throws -> Void) throws {
        let failure = Mutex<(any Error)?>(nil)
        pool.forEach(count) { worker, item in
            do { try body(worker, item) } catch { failure.withLock { $0 = error } }
        }
        if let error = failure.withLock(\.self) { throw error }
    }
}
