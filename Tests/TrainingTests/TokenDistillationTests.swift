import Compute
import Files
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters
@testable import Training

/// Runs of a merge that is distilled for its streams.
@Suite struct TokenDistillationTests {
    let scene: DistillationScene

    init() throws { scene = try DistillationScene() }

    /// Streams whose adapters change queries and values.
    private var streams: TaskStreams {
        let c = scene.base.configuration
        let streams = ["one", "two"].map { task in
            var changes: [String: LowRankChange] = [:]
            for name in c.linearModules where name.hasSuffix("q_proj") || name.hasSuffix("v_proj") {
                var generator = SplitMix64(seed: 5, name: "\(task) \(name)")
                let values = (0..<4 * c.hiddenSize).map { _ in Float(0.2 * generator.nextNormal()) }
                changes[name] = LowRankChange(
                    down: Tensor(shape: [2, c.hiddenSize], values: Array(values.prefix(2 * c.hiddenSize))),
                    up: Tensor(shape: [c.hiddenSize, 2], values: Array(values.suffix(2 * c.hiddenSize))))
            }
            return TaskStream(
                task: task, changes: changes,
                maps: (0..<c.layers).map { _ in TokenMap.identity(width: c.hiddenSize) })
        }
        return TaskStreams(base: scene.base, streams: streams)
    }

    private func run(
        _ settings: DistillationSettings? = nil, divergences: [Double] = [0.3, 0.1], threads: Int = 1
    ) throws -> TokenDistillationRun {
        let settings = try settings ?? DistillationScene.settings()
        return try TokenDistillationRun(
            scene.base, streams: streams, divergences: divergences, configuration: scene.base.configuration,
            imageSize: scene.base.configuration.imageSize, tasks: scene.tasks(), settings: settings,
            steps: settings.steps, passes: PassSettings(threads: threads))
    }

    @discardableResult private func follow(_ run: TokenDistillationRun) throws -> [TokenDistillationReport] {
        var reports: [TokenDistillationReport] = []
        while !run.isFinished { reports.append(try run.advance()) }
        return reports
    }

    private func values(_ run: TokenDistillationRun) -> [Tensor] { run.content.tensors.map(\.tensor) }

    @Test(arguments: [nil, 8]) func trainingBringsTokensNearer(_ rank: Int?) throws {
        let settings = try DistillationScene.settings(["steps": 80, "lr": rank == nil ? 0.003 : 0.02], rank: rank)
        let run = try run(settings)
        let reports = try follow(run)
        func mean(_ part: ArraySlice<TokenDistillationReport>) -> Double {
            part.reduce(0) { $0 + $1.distance } / Double(part.count)
        }
        #expect(reports.map(\.step) == Array(1...80) && reports.allSatisfy { $0.steps == 80 })
        #expect(mean(reports.suffix(10)) < 0.8 * mean(reports.prefix(10)))
        // The last block's layers compute nothing that streams read.
        let last = "layers.\(scene.base.configuration.layers - 1)."
        #expect(!run.deltas.isEmpty && run.deltas.keys.allSatisfy { !$0.hasPrefix(last) })
    }

    /// An error counts as much as it changes predictions, so tasks that lose more are trained more.
    @Test func tasksCountAsMuchAsTheirTokensMatter() throws {
        typealias Run = TokenDistillationRun
        #expect(Run.weights([0.75, 0.25], distances: [2, 2]) == [1.5, 0.5])
        #expect(Run.weights([0.75, 0.75], distances: [1, 3]) == [1.5, 0.5])
        #expect(Run.weights([1, 0], distances: [1, 1]) == [2, 0.1])
        for even in [Run.weights([0, 0], distances: [1, 1]), Run.weights([1, 1], distances: [0, .nan])] {
            #expect(even == [1, 1])
        }
        let settings = try DistillationScene.settings(["steps": 2])
        let (one, other) = (try run(settings), try run(settings, divergences: [0.1, 0.3]))
        // The first step has no gradient before it, so the distances are the same; the weights trained are not.
        #expect(try one.advance().distance == other.advance().distance && values(one) != values(other))
    }

    @Test(arguments: [nil, 3]) func theSameBitsOnAnyNumberOfThreads(_ rank: Int?) throws {
        let settings = try DistillationScene.settings(["steps": 6], rank: rank)
        let runs = try (1...3).map { try run(settings, threads: $0) }
        let reports = try runs.map { try follow($0) }
        #expect(reports.allSatisfy { $0 == reports[0] })
        #expect(runs.allSatisfy { values($0) == values(runs[0]) })
    }

    @Test func resumesFromAnyStepAsIfItHadNotStopped() throws {
        let settings = try DistillationScene.settings(["steps": 6])
        let whole = try run(settings)
        let folder = try TemporaryFolder()
        try CheckpointFolder.create(output: folder.path("a"))
        let checkpoints = CheckpointFolder(output: folder.path("a"), binding: [:])
        var stopped: [CheckpointContent] = []
        while !whole.isFinished {
            try checkpoints.save(whole.content, moment: "\(whole.steps)")
            stopped.append(try #require(try checkpoints.content()))
            _ = try whole.advance()
        }
        for step in [0, 1, 5] {
            let run = try run(settings, threads: 2)
            try run.restore(stopped[step], checkpoints)
            #expect(run.steps == step)
            try follow(run)
            #expect(values(run) == values(whole))
        }
    }

    @Test func aLossThatIsNotFiniteIsNamed() throws {
        let run = try run(DistillationScene.settings(["lr": 1, "steps": 20]))
        let content = run.content
        let huge = content.tensors.map { item in
            item.name.hasSuffix(".delta")
                ? (item.name, Tensor(shape: item.tensor.shape, values: item.tensor.values.map { _ in 3e38 })) : item
        }
        try run.restore(huge)
        #expect(throws: ModelError.self) { try run.advance() }
    }
}
