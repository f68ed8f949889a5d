import Adapters
import Compute
import Files
import Tensors
package import Training
import VisionTransformers

extension TrainingJob {
    /// The outcome of a job.
    package enum Outcome: Sendable, Equatable {
        /// The adapter is written.
        case finished(kept: EpochRecord?, epochs: Int, skipped: Int)
        /// `progress` returned false, before the first step or after a checkpoint.
        case stopped(steps: Int, of: Int)
    }

    /// Reads the data, trains, and writes the adapter.
    ///
    /// - Parameter progress: receives every event; a job that is stopped leaves a checkpoint.
    /// - Throws: `ModelError`, `FileError`, `ComputeError` naming the invalid input.
    package func run(progress: TrainingProgress) throws -> Outcome {
        try precision.check()
        let checkpoint = try Checkpoint(folder: base, preprocessor: preprocessor)
        try checkBase(checkpoint)
        let configuration = checkpoint.configuration
        let adaptation = try lora?.adaptation(of: configuration)
        try TrainedAdapter.check(output, replaces: replaces)
        if !resumes, CheckpointFolder.isThere(output: output) {
            guard replaces else { throw UnfinishedRun(path: CheckpointFolder.path(output: output)) }
            CheckpointFolder.remove(output: output)
        }
        // The output first: if it cannot be written, that should be reported before images are read.
        try CheckpointFolder.create(output: output)
        defer { CheckpointFolder.removeIfEmpty(output: output) }
        var run: TrainingRun?
        do {
            let preparation = try prepare(checkpoint, adaptation) { event in
                guard progress(event) else { throw CancellationRequested() }
            }
            let record = preparation.record
            let checkpoints = CheckpointFolder(output: output, binding: record.binding)
            run = preparation.run
            try follow(preparation.run, checkpoints, progress)
            let trained = try TrainedAdapter(
                parameters: preparation.run.keptParameters, alpha: adaptation?.alpha,
                isRankStabilized: adaptation?.isRankStabilized ?? false, dropout: adaptation?.dropout ?? 0,
                task: task, classes: data.classes, activation: data.labels == nil ? .softmax : .sigmoid)
            try trained.write(
                to: output, base: checkpoint, names: names, record: record.json(preparation.run), replaces: replaces)
            checkpoints.remove()
            return .finished(
                kept: preparation.run.keptRecord, epochs: preparation.run.records.count, skipped: record.images.skipped)
        } catch is CancellationRequested {
            return .stopped(steps: run?.steps ?? 0, of: run?.totalSteps ?? 0)
        }
    }

    /// Checks that the base can be trained over.
    ///
    /// - Throws: `ModelError` when it cannot label images, or it is a merged model: a head can be trained over its
    ///   backbone, but an adapter could not be merged without losing the existing tasks.
    private func checkBase(_ checkpoint: Checkpoint) throws {
        try ModelBundle.check(checkpoint, heads: [])
        guard let merged = try MergedBase(folder: base) else { return }
        let origin = merged.origin.map { ", \($0)" } ?? ""
        guard lora == nil else {
            throw ModelError(
                base,
                "\(merged.description), and an adapter over it could not be merged with them; train over the base that "
                    + "it was made of\(origin), or a head alone",
                remedy: TrainingRemedy.trainHeadAlone)
        }
        guard merged.groups == 1 else {
            throw ModelError(
                base,
                "\(merged.description) in \(merged.groups) backbones; train over the base that they were made "
                    + "of\(origin)"
            )
        }
    }

    /// An epoch is followed by a checkpoint if the last one is at least this many seconds old.
    private static let shortestEpoch = 1.0

    /// Trains to the end, with checkpoints on the way.
    ///
    /// - Throws: `CancellationRequested` after a checkpoint.
    private func follow(
        _ run: TrainingRun, _ checkpoints: CheckpointFolder, _ progress: TrainingProgress
    ) throws {
        if resumes, let snapshot = try checkpoints.load() {
            try run.restore(snapshot)
            guard progress(.resumed(steps: run.steps)) else { throw CancellationRequested() }
        }
        let clock = ContinuousClock()
        let begun = run.steps
        var saved = (time: clock.now, steps: run.steps)
        while !run.isFinished {
            let event: TrainingEvent
            do { event = try run.advance() } catch let error as CancellationRequested {
                // Before the first step of this process there is nothing new to save.
                if run.steps > begun { try checkpoints.save(run.snapshot) }
                throw error
            }
            let goesOn = progress(event)
            let since = clock.now - saved.time
            var isDue = !goesOn || since >= .seconds(checkpointSeconds)
            // An epoch of a head can take less time than a checkpoint.
            if case .epoch = event, since >= .seconds(Self.shortestEpoch) { isDue = true }
            if let every = checkpointSteps, run.steps - saved.steps >= every { isDue = true }
            if isDue {
                try checkpoints.save(run.snapshot)
                saved = (clock.now, run.steps)
            }
            // A finished run is not stopped: all that is left is to write the adapter.
            guard goesOn || run.isFinished else { throw CancellationRequested() }
        }
    }
}
