package import Adapters
import Compute
import Files
import Tensors
package import VisionTransformers

/// Trains a merge until it answers each task's unlabelled images as that task's single adapter does.
///
/// The same start, images and settings give the same bytes, on any number of threads, and wherever a run was stopped
/// and went on from a checkpoint.
package struct Distillation {
    /// How long a run is to be.
    package enum Length: Sendable, Equatable {
        /// As many steps as the settings say.
        case steps
        /// About N minutes on this machine, measured when the first steps are done; the settings of what comes out say
        /// how many steps that was.
        case minutes(Double)
    }

    /// How a run ended.
    package enum Outcome: Sendable {
        /// The merge with what training added.
        case finished(MergedBackbone)
        /// `progress` said to stop; a checkpoint is there.
        case stopped(steps: Int, of: Int?)
    }

    /// How the merge is trained.
    package var settings: DistillationSettings
    /// How long.
    package var length = Length.steps
    /// Where checkpoints go: they belong to the run whose result goes there.
    package var output: String
    /// Whether the run goes on from a checkpoint, if there is one.
    package var resumes = false
    /// Seconds between checkpoints.
    package var checkpointSeconds = 60.0
    /// Steps between checkpoints, or nil.
    package var checkpointSteps: Int?

    /// Streams over a merge that is trained for them.
    package struct FittedStreams {
        let settings: StreamSettings
        let fitted: [TaskStream]
        /// Of each task, the divergence of its predictions from the single adapter's, in nats.
        let divergences: [Double]

        /// Streams in the order of the merge's adapters.
        package init(_ settings: StreamSettings, _ fitted: [TaskStream], divergences: [Double]) {
            (self.settings, self.fitted, self.divergences) = (settings, fitted, divergences)
        }
    }

    private let tuner: MergeTuner

    /// A run over a tuner's images, of which those that are held out stay so.
    package init(_ tuner: MergeTuner, settings: DistillationSettings, output: String) {
        (self.tuner, self.settings, self.output) = (tuner, settings, output)
    }

    /// Trains a merge.
    ///
    /// - Parameters:
    ///   - start: what training begins with.
    ///   - streams: the streams over it, for which it is then trained, with the divergence of each task's predictions
    ///     from the single adapter's; or nil.
    ///   - images: the SHA-256 of each task's images; a checkpoint of a run over others is refused.
    ///   - progress: told of every step; a run that is told to stop leaves a checkpoint.
    /// - Throws: `ModelError`, `ModelError`, `FileError`, `ComputeError` naming what cannot be used.
    package func train(
        _ start: MergedBackbone, streams: FittedStreams? = nil, images: [String: String],
        progress: (DistillationEvent) -> Bool
    ) throws -> Outcome {
        do { return try run(start, streams, images: images, progress: progress) } catch is CancellationRequested {
            return .stopped(steps: 0, of: nil)
        }
    }

    private func run(
        _ start: MergedBackbone, _ streams: FittedStreams?, images: [String: String],
        progress: (DistillationEvent) -> Bool
    ) throws -> Outcome {
        try CheckpointFolder.create(output: output)
        defer { CheckpointFolder.removeIfEmpty(output: output) }
        let checkpoints = CheckpointFolder(output: output, binding: try binding(start, streams?.settings, images))
        let tasks = try start.adapters.enumerated().map { index, item in
            try LongWork.part("measuring adapters", index, of: start.adapters.count) {
                try DistillationTask(item.adapter, tuner)
            }
        }
        let steps = length == .steps ? settings.steps : nil
        let (run, deltas): (any DistillationSteps, () -> [String: WeightDelta])
        if let streams {
            let tokens = try TokenDistillationRun(
                start, streams: TaskStreams(base: start.base, streams: streams.fitted),
                divergences: streams.divergences, configuration: start.base.configuration, imageSize: tuner.imageSize,
                tasks: tasks, settings: settings, steps: steps, passes: tuner.passes)
            (run, deltas) = (tokens, { tokens.deltas })
        } else {
            let trainer = try DistillationTrainer(
                start, configuration: start.base.configuration, imageSize: tuner.imageSize, tasks: tasks,
                settings: settings, passes: tuner.passes)
            run = try DistillationRun(
                trainer, tasks: tasks, settings: settings, steps: steps,
                threads: tuner.passes.threads)
            deltas = { trainer.deltas }
        }
        guard try follow(run, checkpoints, progress) else { return .stopped(steps: run.steps, of: run.totalSteps) }
        return .finished(start.distilled(try settings.taking(steps: run.steps), adding: deltas()))
    }

    /// Takes a run to its end, with checkpoints on the way and at the end.
    ///
    /// - Returns: whether the end was reached.
    private func follow(
        _ run: any DistillationSteps, _ checkpoints: CheckpointFolder, _ progress: (DistillationEvent) -> Bool
    ) throws -> Bool {
        if resumes, let content = try checkpoints.content() {
            try run.restore(content, checkpoints)
            guard progress(.resumed(steps: run.steps)) || run.isFinished else { return false }
        }
        let clock = ContinuousClock()
        let begun = (time: clock.now, steps: run.steps)
        var saved = begun
        while !run.isFinished {
            let step: DistillationEvent
            do { step = try run.next() } catch is CancellationRequested {
                // Between two rounds of steps; before the first step of this process there is nothing new to keep.
                if run.steps > begun.steps { try checkpoints.save(run.content, moment: "\(run.steps)") }
                return false
            }
            let goesOn = progress(step)
            if case .minutes(let minutes) = length, run.totalSteps == nil, run.steps >= DistillationSettings.warmup {
                let pace = (clock.now - begun.time) / (run.steps - begun.steps)
                run.settle(steps: Int(min(.seconds(60 * minutes) / pace, Double(DistillationSettings.mostSteps))))
            }
            let isDue =
                !goesOn || run.isFinished || clock.now - saved.time >= .seconds(checkpointSeconds)
                || checkpointSteps.map { run.steps - saved.steps >= $0 } ?? false
            if isDue {
                try checkpoints.save(run.content, moment: "\(run.steps)")
                saved = (clock.now, run.steps)
            }
            // A run that is over does not stop before its end: the rest is to write what it has.
            guard goesOn || run.isFinished else { return false }
        }
        return true
    }

    /// What a checkpoint must agree with.
    private func binding(
        _ start: MergedBackbone, _ streams: StreamSettings?, _ images: [String: String]
    ) throws -> JSONObject {
        var binding = settings.values.json(DistillationSettings.parameters)
        if length != .steps { binding[DistillationSettings.stepsParameter.name] = nil }
        if case .minutes(let minutes) = length { binding["minutes"] = .double(minutes) }
        binding["stream_rank"] = streams.map { .int($0.rank) }
        if tuner.passes.precision != .f32 { binding["precision"] = .string(tuner.passes.precision.rawValue) }
        binding["seed"] = .number(String(settings.seed))
        binding["from"] = .object(start.plan.merge.json)
        binding["base_sha256"] = try SHA256.json(ofFiles: Recipe.files(of: start.base))
        for item in start.adapters {
            let task = item.adapter.task
            binding["adapter \(task)"] = try SHA256.json(ofFiles: item.adapter.files)
            if let head = item.adapter.headFile { binding["head \(task)"] = .string(try SHA256.text(ofFile: head)) }
            binding["weight \(task)"] = .double(item.weight)
            binding["images \(task)"] = images[task].map(JSON.string) ?? .null
        }
        return binding
    }
}
