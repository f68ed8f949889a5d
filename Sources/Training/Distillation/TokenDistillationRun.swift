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
    ///   - divergences: of each task the divergence of its predictions from the single adapter's, which says how much
    ///     errors of its tokens count.
    ///   - steps: how many there will be; nil if `settle` says it later.
    ///   - passes: how images are computed.
    /// - Throws: `ModelError` naming what does not fit; `FileError`, `ComputeError`.
    init(
        _ start: some ParameterSource, streams: TaskStreams, divergences: [Double],
        configuration: BackboneConfiguration, imageSize: ImageSize, tasks: [DistillationTask],
        settings: DistillationSettings, steps: Int?, passes: PassSettings
    ) throws {
        (self.settings, self.tasks, totalSteps) = (settings, tasks.count, steps)
        tokens = try TrainableTokens(
            start, streams: streams, configuration: configuration, imageSize: imageSize, form: settings.form,
            passes: passes)
        optimizer = Optimizer(tokens.tensors, AdamW(weightDecay: settings.weightDecay))
        inputs = FloatBuffer(count: tasks.count * settings.batch * tokens.inputCount)
        views = DistillationViews(
            tasks, seed: settings.seed, inputCount: tokens.inputCount, try WorkerPool(workers: passes.threads))
        try Initialization(seed: settings.seed).apply(to: tokens.tensors, given: [:])
        try tokens.refresh()
        tokens.weights = Self.weights(divergences, distances: try startingDistances())
    }

    /// How much the tasks' losses count: as much as an error of the tokens changes predictions, which is the divergence
    /// over the distance, in shares of their mean. No task is left to itself: a tenth is the least.
    static func weights(_ divergences: [Double], distances: [Double]) -> [Double] {
        let ratios = zip(divergences, distances).map { $1 > 0 && $0.isFinite ? max($0, 0) / $1 : 0 }
        let mean = ratios.reduce(0, +) / Double(max(ratios.count, 1))
        guard mean > 0, mean.isFinite else { return ratios.map { _ in 1 } }
        return ratios.map { max($0 / mean, 0.1) }
    }

    /// The tasks' distances before the first step, over the views of a few steps.
    private func startingDistances() throws -> [Double] {
        var sums = [Double](repeating: 0, count: tasks)
        for step in 0..<4 {
            fill(step)
            for (task, distance) in try tokens.gradients(inputs.base, batch: settings.batch).enumerated() {
                sums[task] += distance
            }
        }
        return sums
    }

    /// Shows the views of a step.
    private func fill(_ step: Int) {
        let batch = settings.batch
        for task in 0..<tasks {
            views.fill(task, from: step * batch, count: batch, into: inputs.base + task * batch * tokens.inputCount)
        }
    }

    func next() throws -> DistillationEvent { .tokenStep(try advance()) }

    /// Takes one step.
    func advance() throws -> TokenDistillationReport {
        fill(steps)
        let distances = try tokens.gradients(inputs.base, batch: settings.batch)
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
