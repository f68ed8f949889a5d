import Compute
import Synchronization
import Tensors

/// One or several backbones over the same input, each with the heads of its tasks, ready to answer: an image passes once
/// through every backbone, and the logits of all tasks come in one order, whichever backbone gave them.
///
/// A task's logits have the same bits as those of a `MultitaskModel` of its group alone. The backbones share their threads.
/// Memory is that of the backbones' weights, and for each thread and backbone that of one image's pass.
///
/// Not safe for use by several callers at once.
package final class GroupedModel {
    /// Heads with the backbone that they read.
    package struct Group: Sendable {
        /// Where the backbone's weights come from.
        package let source: any ParameterSource
        /// The places of its tasks among all heads.
        package let tasks: [Int]
        /// The backbone's blocks in eight bits; int8 is less exact and slower without.
        package let rounded: RoundedWeights?
        /// Where the backbone's packed weights are kept, if they are.
        let cache: PackedCache?

        /// Heads with their backbone.
        package init(_ source: any ParameterSource, tasks: [Int], rounded: RoundedWeights? = nil) {
            self.init(source, tasks: tasks, rounded: rounded, cache: nil)
        }

        init(
            _ source: any ParameterSource, tasks: [Int], rounded: RoundedWeights?, cache: PackedCache?
        ) {
            self.source = source
            self.tasks = tasks
            self.rounded = rounded
            self.cache = cache
        }
    }

    /// The shape of each backbone.
    package let configuration: BackboneConfiguration
    /// The heads in the order of the logits.
    package let heads: [Head]
    /// Values of one image's input, as in `MultitaskModel`.
    package let inputCount: Int
    /// Logits of one image: all heads' classes in order.
    package let classCount: Int
    /// Values of one image's hidden state in one group: tokens x D.
    package let hiddenShape: [Int]
    /// How many backbones there are.
    package var groupCount: Int { models.count }

    private let pool: WorkerPool
    private let models: [MultitaskModel]
    /// For each group and each of its heads: where its logits start in the group's and in all, and how many they are.
    private let moves: [[(from: Int, to: Int, count: Int)]]
    /// For each worker the logits of one image in one group.
    private let answers: FloatBuffer
    private let answerCount: Int

    /// Plans the backbones for images of one size.
    ///
    /// - Parameters:
    ///   - groups: the backbones; every head belongs to exactly one.
    ///   - configuration: the shape that they all have.
    ///   - heads: the heads of all tasks.
    ///   - imageSize: what preprocessing gives.
    ///   - threads: how many images are computed at the same time.
    ///   - givesAllTokens: whether `run` can give hidden states.
    ///   - precision: in what numbers they multiply.
    /// - Throws: `ModelError` when the groups do not fit the heads, or the size the model; `FileError`,
    ///   `ComputeError`.
    package init(
        _ groups: [Group], configuration: BackboneConfiguration, heads: [Head],
        imageSize: BackboneConfiguration.Extent, threads: Int, givesAllTokens: Bool = false,
        precision: InferencePrecision = .f32
    ) throws {
        guard let first = groups.first, groups.flatMap(\.tasks).sorted() == Array(heads.indices) else {
            throw ModelError(
                "groups \(groups.map(\.tasks))", "expected each of the \(heads.count) heads in exactly one group")
        }
        let pool = try WorkerPool(workers: threads)
        func model(_ group: Group) throws -> MultitaskModel {
            try MultitaskModel(
                group.source, configuration: configuration, heads: group.tasks.map { heads[$0] }, imageSize: imageSize,
                pool: pool, givesAllTokens: givesAllTokens, precision: precision,
                rounded: group.rounded, cache: group.cache)
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
        hiddenShape = firstModel.hiddenShape
        answerCount = models.map(\.classCount).max() ?? 0
        answers = FloatBuffer(count: pool.workers * answerCount)
    }

    /// Computes a batch of any size.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: how many there are.
    ///   - logits: receives (images, classCount), if wanted.
    ///   - hidden: receives (groups, images, tokens, D) after the final layer normalization, if wanted.
    /// - Throws: `ModelError` when hidden states are wanted of a model that was not planned for them; `ComputeError` when a
    ///   kernel fails.
    package func run(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil
    ) throws {
        if hidden != nil { try models.first?.needAllTokens() }
        let failure = Mutex<(any Error)?>(nil)
        let hiddenCount = hiddenShape.reduce(1, *)
        pool.forEach(images * models.count) { worker, item in
            let (group, image) = (item / images, item % images)
            let own = answers.base + worker * answerCount
            do {
                try models[group].run(
                    inputs + image * inputCount, worker: worker, logits: logits.map { _ in own },
                    hidden: hidden.map { $0 + item * hiddenCount })
            } catch {
                failure.withLock { $0 = error }
                return
            }
            guard let logits else { return }
            for move in moves[group] {
                (logits + image * classCount + move.to).update(from: own + move.from, count: move.count)
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }
}
