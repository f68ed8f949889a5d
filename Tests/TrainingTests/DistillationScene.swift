import Compute
import Tensors
import Testing
import VisionTransformers

@testable import Adapters
@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// A small base, and tasks whose single adapters are the base with noise in the weights of its blocks.
struct DistillationScene {
    let base: Checkpoint

    init() throws { base = try Checkpoint(folder: ReferenceRun.file("base")) }

    /// A model's weights with noise in the linear layers of its blocks.
    struct Noisy: ParameterSource {
        let base: Checkpoint
        let seed: UInt64
        let size: Double

        func parameter(_ name: String) throws -> Tensor {
            var tensor = try base.parameter(name)
            guard name.hasPrefix("layers."), tensor.shape.count == 2 else { return tensor }
            var generator = SplitMix64(seed: seed, name: name)
            for index in tensor.values.indices { tensor.values[index] += Float(size * generator.nextNormal()) }
            return tensor
        }

        func release(_ name: String) { base.release(name) }
    }

    /// A task with noise images, a random head, and a single adapter of its own.
    func task(
        _ name: String, seed: UInt64, size: Double = 0.05, images: Int = 12, activation: HeadActivation = .softmax
    ) throws -> DistillationTask {
        let c = base.configuration
        var generator = SplitMix64(seed: seed, name: "head")
        let head = try Head(
            task: name, classes: ["a", "b", "c"],
            weight: Tensor(
                shape: [3, c.hiddenSize], values: (0..<3 * c.hiddenSize).map { _ in Float(generator.nextNormal()) }),
            bias: Tensor(shape: [3], values: [0.1, -0.2, 0.3]), activation: activation, path: name)
        let teacher = Noisy(base: base, seed: seed, size: size)
        return DistillationTask(
            name: name, head: head, images: Array(0..<images),
            view: { image, pass, patches in
                var generator = SplitMix64(seed: seed, name: "\(image) \(pass)")
                let brightness = generator.nextNormal()
                for index in patches.indices { patches[index] = Float(0.5 * generator.nextNormal() + brightness) }
            },
            variances: [Double](repeating: 20, count: c.featureParts),
            outputVariances: activation == .identity ? [2, 0.5, 3] : [],
            teacher: {
                try MultitaskModel(
                    teacher, configuration: c, heads: [], imageSize: c.imageSize, threads: 2, outputs: .features)
            })
    }

    func tasks() throws -> [DistillationTask] { [try task("one", seed: 1), try task("two", seed: 2)] }

    /// Settings of small runs.
    static func settings(
        _ change: [String: MergeParameter.Value] = [:], rank: Int? = nil
    ) throws -> DistillationSettings {
        let usual: [String: MergeParameter.Value] = ["steps": 36, "batch": 2, "lr": 0.003]
        return try DistillationSettings(
            usual.merging(change) { $1 }.merging(rank.map { ["rank": .count($0)] } ?? [:]) { $1 }, seed: 4)
    }

    func trainer(
        _ tasks: [DistillationTask], _ settings: DistillationSettings, threads: Int = 1,
        start: Noisy? = nil
    ) throws -> DistillationTrainer {
        try DistillationTrainer(
            start ?? Noisy(base: base, seed: 0, size: 0), configuration: base.configuration,
            imageSize: base.configuration.imageSize, tasks: tasks,
            settings: settings, passes: PassSettings(threads: threads))
    }

    /// A run with its trainer.
    func run(
        _ tasks: [DistillationTask]? = nil, _ settings: DistillationSettings? = nil, threads: Int = 1,
        start: Noisy? = nil, isSettled: Bool = true
    ) throws -> DistillationRun {
        let (tasks, settings) = (try tasks ?? self.tasks(), try settings ?? Self.settings())
        return try DistillationRun(
            trainer(tasks, settings, threads: threads, start: start), tasks: tasks, settings: settings,
            steps: isSettled ? settings.steps : nil, threads: threads)
    }
}

/// Takes a run to its end, or to some step.
@discardableResult
func follow(_ run: DistillationRun, to step: Int = .max) throws -> [DistillationReport] {
    var reports: [DistillationReport] = []
    while !run.isFinished, run.steps < step { reports.append(try run.advance()) }
    return reports
}

/// All that a run has come to.
func state(_ run: DistillationRun) -> [Tensor] { run.content.tensors.map(\.tensor) }
