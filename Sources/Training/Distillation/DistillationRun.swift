import Adapters
import Compute
import Files
import Tensors
import VisionTransformers

/// Takes a merge through its steps. In each, every task shows a batch of views of its images.
///
/// Steps come in rounds: what the single adapters give of a round's views is computed before its first step, one
/// adapter after the other, so that only one of them is in memory at a time.
final class DistillationRun {
    /// Steps of a round.
    static let roundSteps = DistillationSettings.warmup

    private let trainer: DistillationTrainer
    private let tasks: [DistillationTask]
    private let settings: DistillationSettings
    private let pool: WorkerPool
    /// Steps taken.
    private(set) var steps = 0
    /// How many there will be, nil as long as that is not known.
    private(set) var totalSteps: Int?
    /// The round whose targets are there.
    private var round: Int?
    /// For each task (`roundSteps`, batch, features).
    private let targets: [FloatBuffer]
    private let inputs: FloatBuffer
    /// For each task the order of its images in the pass that was asked for last.
    private var orders: [(pass: Int, images: [Int])]

    /// A run from the trainer's present state.
    ///
    /// - Parameter steps: how many there will be; nil if `settle` says it later.
    /// - Throws: `ComputeError` when the system gives no threads.
    init(
        _ trainer: DistillationTrainer, tasks: [DistillationTask], settings: DistillationSettings, steps: Int?,
        threads: Int
    ) throws {
        (self.trainer, self.tasks, self.settings, totalSteps) = (trainer, tasks, settings, steps)
        pool = try WorkerPool(workers: threads)
        targets = tasks.map { _ in FloatBuffer(count: Self.roundSteps * settings.batch * trainer.featureCount) }
        inputs = FloatBuffer(count: tasks.count * settings.batch * trainer.inputCount)
        orders = tasks.map { _ in (-1, []) }
    }

    /// Whether all steps are taken.
    var isFinished: Bool { totalSteps.map { steps >= $0 } ?? false }

    /// Says how many steps there will be, not fewer than are taken. Until the rate has risen it does not depend on
    /// that.
    func settle(steps total: Int) { totalSteps = max(total, steps) }

    /// Takes one step; not to be called when the run is finished.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `FileError`, `ComputeError`.
    func advance() throws -> DistillationReport {
        let (number, batch) = (steps / Self.roundSteps, settings.batch)
        if round != number { try begin(number) }
        for task in tasks.indices {
            fill(task, from: steps * batch, count: batch, into: inputs.base + task * batch * trainer.inputCount)
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
                    fill(index, from: first * settings.batch + images.lowerBound, count: images.count, into: patches)
                }
            }
        }
        round = number
    }

    /// Writes the views that a task shows at some positions: all its images in one random order after the other.
    private func fill(_ index: Int, from first: Int, count: Int, into inputs: UnsafeMutablePointer<Float>) {
        let (task, width) = (tasks[index], trainer.inputCount)
        let positions = (first..<first + count).map { position in
            let pass = position / task.images.count
            return (image: order(index, pass)[position % task.images.count], pass: pass)
        }
        pool.forEach(count) { _, index in
            task.view(
                task.images[positions[index].image], positions[index].pass,
                UnsafeMutableBufferPointer(start: inputs + index * width, count: width))
        }
    }

    private func order(_ index: Int, _ pass: Int) -> [Int] {
        if orders[index].pass != pass {
            var generator = SplitMix64(seed: settings.seed, name: "order \(tasks[index].name) \(pass)")
            orders[index] = (pass, generator.permutation(tasks[index].images.count))
        }
        return orders[index].images
    }

    /// Everything that the run goes on from.
    var content: CheckpointContent {
        CheckpointContent(
            state: ["steps": .int(steps), "total_steps": totalSteps.map(JSON.int) ?? .null], tensors: trainer.state)
    }

    /// Goes on from a checkpoint of a run of the same kind.
    ///
    /// - Throws: `ModelError` or `ModelError` when it is damaged.
    func restore(_ content: CheckpointContent, _ folder: CheckpointFolder) throws {
        let total = content.state["total_steps"]
        guard let steps = content.state["steps"]?.intValue, steps >= 0, let total,
            total == .null || total.intValue.map({ $0 >= steps }) == true
        else { throw folder.damage("expected the state of a distillation") }
        try trainer.restore(content.tensors)
        (self.steps, totalSteps) = (steps, total.intValue)
    }
}
