import Adapters
import Compute
import Images
import Tensors
import VisionTransformers

/// Takes a merge through steps of training for its streams: the patch tokens that streams read come nearer to those of
/// the single adapters, as seen through the streams' token maps (see `TrainableTokens`). In each step every task shows
/// a batch of views of its images.
final class TokenDistillationRun: DistillationSteps {
    var steps = 0
    var totalSteps: Int?

    private let tokens: TrainableTokens
    private let optimizer: Optimizer
    private let settings: DistillationSettings
    private let tasks: Int
    private let views: DistillationViews
    private let inputs: FloatBuffer

    /// A run from the start of a merge.
    ///
    /// - Parameters:
    ///   - streams: the streams over the merge, fitted to the single adapters.
    ///   - steps: how many there will be; nil if `settle` says it later.
    ///   - threads: how many images are computed at the same time.
    /// - Throws: `ModelError` naming what does not fit; `FileError`, `ComputeError`.
    init(
        _ start: some ParameterSource, streams: TaskStreams, configuration: BackboneConfiguration,
        imageSize: ImageSize, tasks: [DistillationTask], settings: DistillationSettings, steps: Int?, threads: Int
    ) throws {
        (self.settings, self.tasks, totalSteps) = (settings, tasks.count, steps)
        tokens = try TrainableTokens(
            start, streams: streams, configuration: configuration, imageSize: imageSize, form: settings.form,
            threads: threads)
        optimizer = Optimizer(tokens.tensors, AdamW(weightDecay: settings.weightDecay))
        inputs = FloatBuffer(count: tasks.count * settings.batch * tokens.inputCount)
        views = DistillationViews(
            tasks, seed: settings.seed, inputCount: tokens.inputCount, try WorkerPool(workers: threads))
        try Initialization(seed: settings.seed).apply(to: tokens.tensors, given: [:])
        try tokens.refresh()
    }

    func next() throws -> DistillationEvent { .tokenStep(try advance()) }

    /// Takes one step.
    func advance() throws -> TokenDistillationReport {
        let batch = settings.batch
        for task in 0..<tasks {
            views.fill(
                task, from: steps * batch, count: batch, into: inputs.base + task * batch * tokens.inputCount)
        }
        let distances = try tokens.gradients(inputs.base, batch: batch)
        guard distances.allSatisfy(\.isFinite) else {
            throw ModelError("step \(steps + 1)", "the loss is not a finite number; a smaller learning rate may help")
        }
        optimizer.step(learningRate: settings.rate(steps, of: totalSteps))
        try tokens.refresh()
        steps += 1
        return TokenDistillationReport(
            step: steps, steps: totalSteps, distance: distances.reduce(0, +) / Double(max(distances.count, 1)))
    }

    /// What training added to the weights, by parameter.
    var deltas: [String: WeightDelta] { WeightDelta.trained(tokens.tensors) }

    var state: [(name: String, tensor: Tensor)] { optimizer.state }

    func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        try optimizer.restore(state)
        try tokens.refresh()
    }
}
