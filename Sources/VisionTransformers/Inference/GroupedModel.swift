import Compute
package import Images
import Synchronization
import Tensors

/// One or several backbones over the same input, each with the heads of its tasks: an image passes through each
/// backbone once, and the logits of all tasks are in one order, whichever backbone they are from.
///
/// A task's logits have the same bits as those of a `MultitaskModel` of its group alone. The backbones share their
/// threads. Memory is that of the backbones' weights, and for each thread and backbone that of one image's pass.
///
/// Not safe for use by several callers at once.
package final class GroupedModel {
    /// The shape of each backbone.
    package let configuration: BackboneConfiguration
    /// The heads in the order of the logits.
    package let heads: [Head]
    /// Values of one image's input, as in `MultitaskModel`.
    package let inputCount: Int
    /// Logits of one image: all heads' classes in order.
    package let classCount: Int
    /// Values of one image's features: those of each group, one after the other. A group with task streams has D for
    /// each of its tasks in turn, another the vector that the widest of its heads reads.
    package let featureCount: Int
    /// The heads that read the same columns of the features, in the order of the columns.
    package let featureColumns: [(heads: [Int], columns: Range<Int>)]
    /// The tasks that have a fit, in the order of their values.
    package let fittedTasks: [String]
    /// Values of one image's hidden state in one group: tokens x D.
    package let hiddenShape: [Int]
    /// How many backbones there are.
    package var groupCount: Int { models.count }
    /// Multiplications and additions of one image's matrix products in all backbones: 2·m·k·n each.
    var operationsPerImage: Double { models.reduce(0) { $0 + $1.operationsPerImage } }

    /// How long the linear layers of a sublayer take, in multiplications.
    package func work(of sublayer: BlockSublayer) -> Double { models.reduce(0) { $0 + $1.work(of: sublayer) } }

    private let pool: WorkerPool
    private let models: [MultitaskModel]
    /// For each group and each of its heads: where its logits start in the group's and in all, and their number.
    private let moves: [[(from: Int, to: Int, count: Int)]]
    /// For each worker, the logits of a unit of images in one group.
    private let groupLogits: FloatBuffer
    private let largestUnitCount: Int
    /// For each worker, the features of a unit of images in one group.
    private let groupFeatures: [FloatBuffer]
    /// What computes the fits of each group's tasks; nil for a group without any.
    private let scorers: [FitScorer?]
    /// For each worker, the summaries of a unit of images, and memory for one more.
    private let summaries: [FloatBuffer], summaryScratch: [FloatBuffer]

    /// Plans the backbones for images of one size.
    ///
    /// - Parameters:
    ///   - groups: the backbones; every head belongs to exactly one.
    ///   - configuration: the shape that they all have.
    ///   - heads: the heads of all tasks.
    ///   - imageSize: the size of the images, as preprocessing gives them.
    ///   - threads: how many images are computed at the same time.
    ///   - outputs: `.allTokens` if `run` is to give hidden states.
    ///   - precision: in which numbers they multiply.
    ///   - tokenMerging: how many tokens each block merges; nil for none.
    ///   - fits: the fits of each group's tasks, in the order of the groups; empty for none.
    /// - Throws: `ModelError` when the groups do not fit the heads, or the size the model; `FileError`,
    ///   `ComputeError`.
    package init(
        _ groups: [TaskGroup<BackboneWeights>], configuration: BackboneConfiguration, heads: [Head],
        imageSize: ImageSize, threads: Int, outputs: ModelOutputs = [],
        precision: ComputePrecision = .f32, tokenMerging: TokenMerging? = nil, fits: [GroupFit?] = []
    ) throws {
        guard let first = groups.first, groups.flatMap(\.tasks).sorted() == Array(heads.indices) else {
            throw ModelError(
                "groups \(groups.map(\.tasks))", "expected each of the \(heads.count) heads in exactly one group")
        }
        let pool = try WorkerPool(workers: threads)
        let settings = InferenceSettings(
            imageSize: imageSize, outputs: outputs, precision: precision, tokenMerging: tokenMerging)
        func model(_ group: TaskGroup<BackboneWeights>) throws -> MultitaskModel {
            try MultitaskModel(
                group.backbone, configuration: configuration, heads: group.tasks.map { heads[$0] }, settings, pool)
        }
        let firstModel = try model(first)
        models = try [firstModel] + groups.dropFirst().map(model)
        let counts = heads.map(\.classes.count)
        moves = groups.map { group in
            var from = 0
            return group.tasks.map { task in
                defer { from += counts[task] }
                return (from, counts[..<task].reduce(0, +), counts[task])
            }
        }
        self.pool = pool
        self.configuration = configuration
        self.heads = heads
        inputCount = firstModel.inputCount
        classCount = counts.reduce(0, +)
        var columns: [(heads: [Int], columns: Range<Int>)] = []
        for (group, model) in zip(groups, models) {
            let parts = model.hasStreams ? group.tasks.map { [$0] } : [group.tasks]
            for part in parts {
                let first = columns.last?.columns.upperBound ?? 0
                columns.append((part, first..<first + model.featureCount / parts.count))
            }
        }
        featureColumns = columns
        featureCount = columns.last?.columns.upperBound ?? 0
        hiddenShape = firstModel.hiddenShape
        largestUnitCount = models.map { $0.classCount * $0.groupSize }.max() ?? 0
        let largestFeatureCount = models.map { $0.featureCount * $0.groupSize }.max() ?? 0
        groupFeatures = (0..<pool.workers).map { _ in FloatBuffer(count: largestFeatureCount) }
        groupLogits = FloatBuffer(count: pool.workers * largestUnitCount)
        let fittedTasks = heads.map(\.task).filter { task in fits.contains { $0?.tasks[task] != nil } }
        self.fittedTasks = fittedTasks
        let places = Dictionary(uniqueKeysWithValues: fittedTasks.enumerated().map { ($1, $0) })
        scorers = groups.enumerated().map { index, group in
            FitScorer(
                index < fits.count ? fits[index] : nil, tasks: group.tasks.map { heads[$0].task }, places: places)
        }
        let unit = models.map(\.groupSize).max() ?? 1
        let workers = fittedTasks.isEmpty ? 0 : pool.workers
        summaries = (0..<workers).map { _ in FloatBuffer(count: unit * configuration.summaryCount) }
        summaryScratch = (0..<workers).map { _ in FloatBuffer(count: configuration.summaryCount) }
    }

    /// The units of a batch: for each group, the images that one thread computes at once.
    private func units(images: Int) -> [(group: Int, images: Range<Int>)] {
        models.enumerated().flatMap { group, model in
            model.units(images: images).map { (group, $0) }
        }
    }

    /// Computes a batch of any size.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: the number of images.
    ///   - logits: receives (images, classCount), or nil.
    ///   - hidden: receives (groups, images, tokens, D) after the final layer normalization, or nil.
    ///   - features: receives (images, featureCount), or nil.
    ///   - fits: receives (images, fittedTasks), how well each image fits each task (see `TaskFit`), or nil.
    /// - Throws: `ModelError` for hidden states of a model that was not planned for them; `ComputeError` when a kernel
    ///   fails.
    package func run(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil, features: UnsafeMutablePointer<Float>? = nil,
        fits: UnsafeMutablePointer<Float>? = nil
    ) throws {
        if hidden != nil { try models.first?.requireAllTokens() }
        let failure = Mutex<(any Error)?>(nil)
        let hiddenCount = hiddenShape.reduce(1, *)
        let units = units(images: images)
        pool.forEach(units.count) { worker, item in
            let (group, range) = units[item]
            let output = groupLogits.base + worker * largestUnitCount
            let unitFeatures = features == nil ? nil : groupFeatures[worker].base
            let scorer = fits == nil ? nil : scorers[group]
            do {
                try models[group].run(
                    inputs + range.lowerBound * inputCount, images: range.count, worker: worker,
                    logits: logits.map { _ in output },
                    hidden: hidden.map { $0 + (group * images + range.lowerBound) * hiddenCount },
                    features: unitFeatures, summaries: scorer.map { _ in summaries[worker].base })
            } catch {
                failure.withLock { $0 = error }
                return
            }
            if let features, let unitFeatures {
                let count = models[group].featureCount
                let first = models[..<group].reduce(0) { $0 + $1.featureCount }
                for (position, image) in range.enumerated() {
                    (features + image * featureCount + first).update(
                        from: unitFeatures + position * count, count: count)
                }
            }
            if let scorer, let fits {
                for (position, image) in range.enumerated() {
                    scorer.write(
                        summaries[worker].base + position * scorer.summaryCount,
                        into: fits + image * fittedTasks.count, scratch: summaryScratch[worker])
                }
            }
            guard let logits else { return }
            for (position, image) in range.enumerated() {
                let computed = output + position * models[group].classCount
                for move in moves[group] {
                    (logits + image * classCount + move.to).update(from: computed + move.from, count: move.count)
                }
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }
}

extension ModelBundle {
    /// Plans the model for the images that the preprocessing gives.
    ///
    /// - Parameters:
    ///   - threads: how many images are computed at the same time.
    ///   - names: the tasks that are needed: task streams of others are left out, and groups without any of them, with
    ///     all their heads. Nil, or a name that is not a task's, leaves out none.
    ///   - outputs: as in `GroupedModel`.
    ///   - precision: in which numbers it multiplies.
    ///   - floats: what int8 leaves in floats; nil for what `quantize` left, and what is faster in floats on this
    ///     processor.
    ///   - tokenMerging: how many tokens each block merges; nil for none.
    ///   - cache: whether packed weights are kept beside the backbones for the next time.
    /// - Throws: as `GroupedModel.init`.
    package func model(
        threads: Int, for names: [String]? = nil, outputs: ModelOutputs = [], precision: ComputePrecision = .f32,
        floats: Set<BlockSublayer>? = nil, tokenMerging: TokenMerging? = nil, cache: PackedCache.Use = .never
    ) throws -> GroupedModel {
        let (groups, ownHeads) = groups(for: names)
        let quantized = try groups.map { precision == .int8 ? try $0.backbone.checkpoint.quantized : nil }
        let heads = try aligned(ownHeads, of: zip(groups.map(\.tasks), quantized), with: tokenMerging)
        let weights = try zip(groups, quantized).map { group, quantized in
            let (checkpoint, streams) = group.backbone
            guard streams == nil || streams?.streams.count == group.tasks.count else {
                throw ModelError(folder, "was opened for other tasks than those whose streams are to be computed")
            }
            let cache = PackedCache(checkpoint, quantized, streams: streams, cache)
            return TaskGroup(
                backbone: BackboneWeights(
                    checkpoint, quantized: quantized, floats: floats, streams: streams, cache: cache),
                tasks: group.tasks)
        }
        return try GroupedModel(
            weights, configuration: backbone.configuration, heads: heads,
            imageSize: backbone.configuration.inputSize(preprocessing), threads: threads, outputs: outputs,
            precision: precision, tokenMerging: tokenMerging,
            fits: fits(of: groups.map { $0.tasks.map { heads[$0].task } }, for: names))
    }

    /// Heads, with those that `quantize --keep` aligned with the token merging in place of the tasks' own.
    private func aligned(
        _ heads: [Head], of groups: some Sequence<([Int], QuantizedWeights?)>, with tokenMerging: TokenMerging?
    ) throws -> [Head] {
        guard let tokenMerging else { return heads }
        var result = heads
        for (tasks, quantized) in groups {
            guard let quantized, try quantized.tokenMerging?.schedule == tokenMerging else { continue }
            for task in tasks { result[task] = try quantized.alignedHead(heads[task]) ?? heads[task] }
        }
        return result
    }

    /// Each group's blocks in eight bits; nil for those of a group that is not quantized.
    ///
    /// - Throws: `FileError` when a file that `quantize` left is damaged.
    package var quantizedWeights: [QuantizedWeights?] { get throws { try groups.map { try $0.backbone.quantized } } }

    /// The token merging that `quantize --keep` found, the same for every backbone, with the agreement of all tasks;
    /// nil where it looked for none.
    ///
    /// - Throws: `FileError` or `ModelError` when a file that it left is damaged, or backbones disagree.
    package var keptTokenMerging: KeptTokenMerging? { get throws { try keptTokenMerging(of: quantizedWeights) } }

    /// The same, of `quantizedWeights` that are open already.
    package func keptTokenMerging(of quantized: [QuantizedWeights?]) throws -> KeptTokenMerging? {
        let found = try quantized.map { try $0?.tokenMerging }
        guard let first = found.first, let merging = first else { return nil }
        guard found.allSatisfy({ $0?.schedule == merging.schedule }) else {
            throw ModelError(
                folder, "its backbones were quantized for different token merging", remedy: ModelRemedy.quantize)
        }
        return KeptTokenMerging(
            merging.schedule, required: merging.required, cost: merging.cost,
            agreement: LabelAgreement(
                images: merging.agreement.images, tasks: found.flatMap { $0?.agreement.tasks ?? [] }))
    }

    /// Whether `quantize` has quantized every backbone, and found that int8 keeps its labels, with the token merging
    /// that was chosen if it was to choose one.
    ///
    /// - Throws: `FileError` or `ModelError` when the file that it left is damaged.
    package var keepsLabelsInInt8: Bool {
        get throws {
            let quantized = try quantizedWeights
            if let merging = try keptTokenMerging(of: quantized) { return merging.isSufficient }
            return quantized.allSatisfy { $0?.agreement?.isSufficient ?? false }
        }
    }
}

extension Checkpoint {
    /// The backbone's blocks in eight bits, if `quantize` has made them.
    fileprivate var quantized: QuantizedWeights? {
        get throws { try QuantizedWeights(folder: folder, configuration) }
    }
}
