import ArgumentParser
import Training
import Workflows

/// The options of distillation: how long it runs, and how it is resumed.
struct DistillOptions: ParsableArguments {
    @Option(
        help: .init("MINUTES", "Train each backbone for about this long; the recipe records the number of steps."))
    var minutes: Double?

    @OptionGroup var checkpoints: CheckpointOptions

    /// Whether an interrupted run is resumed.
    var resume: Bool { checkpoints.resume }

    func validate() throws {
        if let minutes, !(minutes > 0 && minutes <= 1e6) {
            throw ValidationError("--minutes must be above 0, up to 1000000, not \(minutes).")
        }
    }

    /// Whether any option is given that only distillation has.
    var isGiven: Bool { minutes != nil || resume || checkpoints.checkpointSteps != nil }

    /// How distillation runs.
    var run: MergeJob.DistillationRun {
        var run = MergeJob.DistillationRun()
        if let minutes { run.length = .minutes(minutes) }
        run.resumes = resume
        run.checkpointSeconds = checkpoints.checkpointSeconds
        run.checkpointSteps = checkpoints.checkpointSteps
        return run
    }
}
