import Adapters
import Compute
import Files
import Tensors
import VisionTransformers

/// Takes a merge through its steps. In each, every task shows a batch of views of its images.
///
/// Steps come in rounds: what the single adapters give of a round's views is computed before its first step, one
/// adapter after the other, so that only one of them is in memory at a time.
final class DistillationRun: DistillationSteps {
    /// Steps of a round.
    static let roundSteps = DistillationSettings.warmup

    private let trainer: DistillationTrainer
    private let tasks: [DistillationTask]
    private let settings: DistillationSettings
    private let views: DistillationViews
    var steps = 0
    var totalSteps: Int?
    /// The round whose targets are there.
    private var round: Int?
    /// For each task (`roundSteps`, batch, features).
    private let targets: [FloatBuffer]
    private let inputs: FloatBuffer

    /// A run from the trainer's present state.
    ///
    /// - Parameter steps: how many there will be; nil if `settle` says it later.
    /// - Throws: `ComputeError` when the system gives no threads.
    init(
        _ trainer: DistillationTrainer, tasks: [DistillationTask], settings: DistillationSettings, steps: Int?,
        threads: Int
    ) throws {
        (self.trainer, self.tasks, self.settings, totalSteps) = (trainer, tasks, settings, steps)
        views = DistillationViews(
            tasks, seed: settings.seed, inputCount: trainer.inputCount, try WorkerPool(workers: threads))
        targets = tasks.map { _ in FloatBuffer(count: Self.roundSteps * settings.batch * trainer.featureCount) }
        inputs = FloatBuffer(count: tasks.count * settings.batch * trainer.inputCount)
    }

    func next() throws -> DistillationEvent { .step(try advance()) }

    /// Takes one step; not to be called when the run is finished.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `FileError`, `ComputeError`.
    func advance() throws -> DistillationReport {
        let (number, batch) = (steps / Self.roundSteps, settings.batch)
        if round != number { try begin(number) }
        for task in tasks.indices {
            views.fill(task, from: steps * batch, count: batch, into: inputs.base + task * batch * trainer.inputCount)
        }
        let offset = steps % Self.roundSteps * batch * trainer.featureCount
        let value = try trainer.step(
            inputs.base, targets: targets.map { UnsafePointer($0.base + offset) },
            learningRate: settings.rate(steps, of: totalSteps))
        steps += 1
        return DistillationReport(
            step: steps, steps: totalSteps, distance: value.distance, divergence: value.divergence,
            sameLabel: value.sameLabel)
    }

    /// Computes what the single adapters give of a round's views.
    private func begin(_ number: Int) throws {
        let first = number * Self.roundSteps
        let count = (min(first + Self.roundSteps, totalSteps ?? .max) - first) * settings.batch
        for (index, task) in tasks.enumerated() {
            try LongWork.part("single adapters", index, of: tasks.count) {
                let model = try task.teacher()
                try model.computeFeatures(of: count, into: targets[index].base) { images, patches in
                    try LongWork.report("computing images of \(task.name)", images.lowerBound, of: count)
                    views.fill(
                        index, from: first * settings.batch + images.lowerBound, count: images.count, into: patches)
                }
            }
        }
        round = number
    }

    var state: [(name: String, tensor: Tensor)] { trainer.state }

    func restore(_ state: [(name: String, tensor: Tensor)]) throws { try trainer.restore(state) }
}
