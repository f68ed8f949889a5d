import Compute
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters
@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// The loss of a distilled merge and its gradients.
@Suite struct DistillationLossTests {
    let scene: DistillationScene

    init() throws { scene = try DistillationScene() }

    private func noise(_ count: Int, _ name: String) -> [Float] {
        var generator = SplitMix64(seed: 7, name: name)
        return (0..<count).map { _ in Float(generator.nextNormal()) }
    }

    @Test(arguments: [(0.0, 1.0), (1, 1), (3, 2.5)], HeadActivation.allCases)
    func theGradientIsThatOfTheLoss(_ loss: (weight: Double, temperature: Double), _ activation: HeadActivation) throws
    {
        let (weight, temperature) = loss
        let width = scene.base.configuration.hiddenSize * scene.base.configuration.featureParts
        let settings = try DistillationScene.settings(["kl": .number(weight), "temperature": .number(temperature)])
        let loss = try DistillationLoss(
            scene.task("t", seed: 1, activation: activation), settings: settings, features: width)
        var own = noise(width, "own")
        let wanted = noise(width, "wanted")
        func value(_ features: [Float], _ gradient: inout [Float]) -> Double {
            let value = loss.evaluate(features, wanted, share: 0.25, gradient: &gradient)
            return 0.25 * (value.distance + weight * temperature * temperature * value.divergence)
        }
        var (gradient, unused) = ([Float](repeating: 9, count: width), [Float](repeating: 0, count: width))
        _ = value(own, &gradient)
        for index in stride(from: 0, to: width, by: 5) {
            let (kept, step) = (own[index], Float(1.0 / 64))
            own[index] = kept + step
            let above = value(own, &unused)
            own[index] = kept - step
            let below = value(own, &unused)
            own[index] = kept
            // The squares of values are larger, and so is their rounding.
            let tolerance = activation == .identity ? 2e-3 : 2e-4
            #expect(abs((above - below) / Double(2 * step) - Double(gradient[index])) < tolerance)
        }
    }

    @Test(arguments: HeadActivation.allCases) func theSameFeaturesAreNoLoss(_ activation: HeadActivation) throws {
        let width = scene.base.configuration.hiddenSize * scene.base.configuration.featureParts
        let loss = try DistillationLoss(
            scene.task("t", seed: 1, activation: activation), settings: DistillationScene.settings(), features: width)
        let features = noise(width, "own")
        var gradient = [Float](repeating: 9, count: width)
        let value = loss.evaluate(features, features, share: 1, gradient: &gradient)
        #expect(value == .init(distance: 0, divergence: 0, sameLabel: 1))
        #expect(gradient.allSatisfy { $0 == 0 })
    }

    /// What the answers' part of the loss is, for a head that copies three features and logits that are known.
    @Test func answersDivergeByTheirKind() throws {
        func value(_ activation: HeadActivation, temperature: Double = 1) throws -> DistillationLoss.Value {
            let head = try Head(
                task: "t", classes: ["a", "b", "c"],
                weight: Tensor(shape: [3, 3], values: [1, 0, 0, 0, 1, 0, 0, 0, 1]), bias: Tensor(shape: [3]),
                activation: activation, path: "test")
            var task = try scene.task("t", seed: 1)
            task = DistillationTask(
                name: "t", head: head, images: task.images, view: task.view, variances: [1],
                outputVariances: [2, 0.5, 3],
                teacher: task.teacher)
            let settings = try DistillationScene.settings(["temperature": .number(temperature)])
            var gradient = [Float](repeating: 0, count: 3)
            return try DistillationLoss(task, settings: settings, features: 3)
                .evaluate([0.5, 0.25, -2], [-0.5, 1, -1], share: 1, gradient: &gradient)
        }
        // By scipy: rel_entr of the softmax, of both sides of expit, and squares over twice the variances.
        #expect(try abs(value(.softmax).divergence - 0.302_162) < 1e-6)
        #expect(try abs(value(.sigmoid).divergence - 0.266_039) < 1e-6)
        #expect(try abs(value(.sigmoid, temperature: 2).divergence - 0.075_988) < 1e-6)
        #expect(try abs(value(.identity).divergence - (0.25 + 0.562_5 + 1.0 / 6)) < 1e-6)
        #expect(try [value(.softmax), value(.sigmoid)].map(\.sameLabel) == [0, 0])
        #expect(try abs(value(.identity).sameLabel - (1 - (0.5 + 1.125 + 1.0 / 3) / 3)) < 1e-6)
    }

    /// Along its gradient the loss changes by the gradient's square, through all layers.
    @Test(arguments: [nil, 3]) func weightsGetTheGradientOfTheLoss(_ rank: Int?) throws {
        let settings = try DistillationScene.settings(rank: rank)
        let tasks = try scene.tasks()
        let trainer = try scene.trainer(tasks, settings)
        let inputs = noise(2 * 2 * trainer.inputCount, "inputs")
        let targets = (0..<2).map { noise(2 * trainer.featureCount, "targets \($0)") }
        let wanted = targets.map { FloatBuffer($0) }
        func loss() throws -> Double {
            let value = try trainer.gradients(inputs, targets: wanted.map { UnsafePointer($0.base) })
            return value.distance + settings.divergenceWeight * settings.temperature * settings.temperature
                * value.divergence
        }
        _ = try loss()
        let gradients = Dictionary(trainer.lastGradients.map { ($0.name, $0.tensor) }) { $1 }
        let square = gradients.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + Double($1 * $1) } }
        let before = trainer.state
        func moved(_ step: Double) throws -> Double {
            try trainer.restore(
                before.map { name, tensor in
                    guard let gradient = gradients[name] else { return (name, tensor) }
                    let values = zip(tensor.values, gradient.values).map { $0 + Float(step) * $1 }
                    return (name, Tensor(shape: tensor.shape, values: values))
                })
            return try loss()
        }
        let step = 0.01 / square.squareRoot()
        let slope = (try moved(step) - moved(-step)) / (2 * step)
        #expect(abs(slope / square - 1) < 1e-2, "\(slope) \(square)")
    }
}

/// Runs of a distilled merge.
@Suite struct DistillationRunTests {
    let scene: DistillationScene

    init() throws { scene = try DistillationScene() }

    @Test(arguments: [nil, 8]) func trainingBringsTheMergeNearer(_ rank: Int?) throws {
        let settings = try DistillationScene.settings(["steps": 80, "lr": rank == nil ? 0.003 : 0.02], rank: rank)
        let reports = try follow(scene.run(nil, settings))
        func mean(_ part: ArraySlice<DistillationReport>) -> Double {
            part.reduce(0) { $0 + $1.distance + $1.divergence } / Double(part.count)
        }
        #expect(reports.map(\.step) == Array(1...80))
        #expect(mean(reports.suffix(10)) < 0.8 * mean(reports.prefix(10)))
    }

    @Test func oneTaskThatStartsFromItsAdapterStaysThere() throws {
        let task = try scene.task("one", seed: 1)
        let start = DistillationScene.Noisy(base: scene.base, seed: 1, size: 0.05)
        let reports = try follow(scene.run([task], DistillationScene.settings(["lr": 1e-4]), start: start))
        #expect(reports.allSatisfy { $0.distance < 1e-4 && $0.divergence < 1e-4 && $0.sameLabel == 1 })
    }

    @Test(arguments: [nil, 3]) func theSameBitsOnAnyNumberOfThreads(_ rank: Int?) throws {
        let settings = try DistillationScene.settings(rank: rank)
        let runs = try (1...3).map { try scene.run(nil, settings, threads: $0) }
        let reports = try runs.map { try follow($0) }
        #expect(reports.allSatisfy { $0 == reports[0] })
        #expect(runs.allSatisfy { state($0) == state(runs[0]) })
    }

    @Test func goesOnFromAnyStepAsIfItHadNotStopped() throws {
        let whole = try scene.run()
        let folder = try TemporaryFolder()
        try CheckpointFolder.create(output: folder.path("a"))
        let checkpoints = CheckpointFolder(output: folder.path("a"), binding: [:])
        var stopped: [CheckpointContent] = []
        while !whole.isFinished {
            try checkpoints.save(whole.content, moment: "\(whole.steps)")
            stopped.append(try #require(try checkpoints.content()))
            _ = try whole.advance()
        }
        #expect(stopped.count == 36)
        for step in [0, 1, 30, 31, 32, 33, 35] {
            let run = try scene.run(threads: 2)
            try run.restore(stopped[step], checkpoints)
            #expect(run.steps == step)
            try follow(run)
            #expect(state(run) == state(whole))
        }
    }

    /// How many steps there are may be said when the rate has risen, with the same result as if it had been known
    /// before.
    @Test func theNumberOfStepsMayBeSettledLater() throws {
        let (known, settled) = (try scene.run(), try scene.run(isSettled: false))
        try follow(known)
        try follow(settled, to: DistillationSettings.warmup)
        #expect(!settled.isFinished && settled.content.state["total_steps"] == .null)
        settled.settle(steps: 36)
        try follow(settled)
        #expect(settled.steps == 36 && state(settled) == state(known))
        let short = try scene.run(isSettled: false)
        try follow(short, to: DistillationSettings.warmup)
        short.settle(steps: 3)
        #expect(short.isFinished && short.totalSteps == DistillationSettings.warmup)
    }

    @Test func theRateRisesAndFalls() throws {
        let settings = try DistillationScene.settings(["steps": 132, "lr": 1])
        let rates = (0..<132).map { settings.rate($0, of: 132) }
        #expect(rates[0] == 1.0 / 32 && rates[31] == 1 && rates[32] == 1)
        #expect(abs(rates[82] - 0.5) < 1e-12 && rates[131] < 0.001 && rates[131] > 0)
    }

    @Test func whatIsTrainedIsAddedToTheWeights() throws {
        for rank in [nil, 3] {
            let settings = try DistillationScene.settings(["steps": 2], rank: rank)
            let trainer = try scene.trainer(scene.tasks(), settings)
            let inputs = [Float](repeating: 0.3, count: 4 * trainer.inputCount)
            let targets = FloatBuffer([Float](repeating: 0.2, count: 2 * trainer.featureCount))
            for _ in 0..<2 {
                _ = try trainer.step(
                    inputs, targets: [targets, targets].map { UnsafePointer($0.base) }, learningRate: 0.01)
            }
            let deltas = trainer.deltas
            #expect(deltas.count == 2 * 6)
            let shapes = scene.base.configuration.parameterShapes
            for (name, delta) in deltas {
                #expect(shapes.contains { $0.name == name && $0.shape == delta.shape })
                #expect(delta.dense.norm > 0)
                if case .lowRank(_, let a, _) = delta.storage { #expect(a.rows == 3) } else { #expect(rank == nil) }
            }
        }
    }

    @Test func aLossThatIsNoNumberIsAnError() throws {
        let trainer = try scene.trainer([scene.task("one", seed: 1)], DistillationScene.settings())
        let inputs = [Float](repeating: 0.3, count: 2 * trainer.inputCount)
        let targets = FloatBuffer([Float](repeating: .infinity, count: 2 * trainer.featureCount))
        let error = #expect(throws: ModelError.self) {
            try trainer.step(inputs, targets: [UnsafePointer(targets.base)], learningRate: 0.01)
        }
        #expect(error?.description.contains("step 1: the loss is not a finite number") == true)
    }

    @Test func damagedCheckpointsAreRefused() throws {
        let (run, folder) = (try scene.run(), CheckpointFolder(output: "a", binding: [:]))
        let content = run.content
        for state: JSONObject in [
            [:], ["steps": .int(-1), "total_steps": .int(36)], ["steps": .int(40), "total_steps": .int(36)],
            ["steps": .int(1), "total_steps": "x"], ["steps": .int(1)],
        ] {
            #expect(throws: ModelError.self) {
                try run.restore(CheckpointContent(state: state, tensors: content.tensors), folder)
            }
        }
        #expect(throws: ModelError.self) {
            try run.restore(CheckpointContent(state: content.state, tensors: Array(content.tensors.dropLast())), folder)
        }
    }
}
