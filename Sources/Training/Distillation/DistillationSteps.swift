import Compute
import Files
import Tensors

/// A run of either kind of distillation, step by step.
protocol DistillationSteps: AnyObject {
    /// Steps taken.
    var steps: Int { get set }
    /// How many there will be, nil as long as that is not known.
    var totalSteps: Int? { get set }
    /// What is trained, with the optimizer's moments.
    var state: [(name: String, tensor: Tensor)] { get }

    /// Goes back to a state that `state` gave.
    ///
    /// - Throws: `ModelError` naming what is missing, left over or misshapen.
    func restore(_ state: [(name: String, tensor: Tensor)]) throws
    /// Takes one step; not to be called when the run is finished.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `FileError`, `ComputeError`.
    func next() throws -> DistillationEvent
}

extension DistillationSteps {
    /// Whether all steps are taken.
    var isFinished: Bool { totalSteps.map { steps >= $0 } ?? false }

    /// Says how many steps there will be, not fewer than are taken. Until the rate has risen it does not depend on
    /// that.
    func settle(steps total: Int) { totalSteps = max(total, steps) }

    /// Everything that the run is resumed from.
    var content: CheckpointContent {
        CheckpointContent(
            state: ["steps": .int(steps), "total_steps": totalSteps.map(JSON.int) ?? .null], tensors: state)
    }

    /// Resumes from a checkpoint of a run of the same kind.
    ///
    /// - Throws: `ModelError` when it is damaged.
    func restore(_ content: CheckpointContent, _ folder: CheckpointFolder) throws {
        let total = content.state["total_steps"]
        guard let steps = content.state["steps"]?.intValue, steps >= 0, let total,
            total == .null || total.intValue.map({ $0 >= steps }) == true
        else { throw folder.damage("expected the state of a distillation") }
        try restore(content.tensors)
        (self.steps, totalSteps) = (steps, total.intValue)
    }
}

/// The views of images that the tasks of a distillation show: all of a task's images in one random order after the
/// other.
final class DistillationViews {
    private let tasks: [DistillationTask]
    private let seed: UInt64
    /// Values of one image's input.
    private let width: Int
    private let pool: WorkerPool
    /// For each task the order of its images in the pass that was asked for last.
    private var orders: [(pass: Int, images: [Int])]

    init(_ tasks: [DistillationTask], seed: UInt64, inputCount: Int, _ pool: WorkerPool) {
        (self.tasks, self.seed, width, self.pool) = (tasks, seed, inputCount, pool)
        orders = tasks.map { _ in (-1, []) }
    }

    /// Writes the views that a task shows at some positions.
    func fill(_ index: Int, from first: Int, count: Int, into inputs: UnsafeMutablePointer<Float>) {
        let task = tasks[index]
        let positions = (first..<first + count).map { position in
            let pass = position / task.images.count
            return (image: order(index, pass)[position % task.images.count], pass: pass)
        }
        pool.forEach(count) { [width] _, index in
            task.view(
                task.images[positions[index].image], positions[index].pass,
                UnsafeMutableBufferPointer(start: inputs + index * width, count: width))
        }
    }

    private func order(_ index: Int, _ pass: Int) -> [Int] {
        if orders[index].pass != pass {
            var generator = SplitMix64(seed: seed, name: "order \(tasks[index].name) \(pass)")
            orders[index] = (pass, generator.permutation(tasks[index].images.count))
        }
        return orders[index].images
    }
}
