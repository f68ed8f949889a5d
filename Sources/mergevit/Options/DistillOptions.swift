import ArgumentParser
import Training
import Workflows

/// The options of distillation: how long it runs, and how it is resumed.
struct DistillOptions: ParsableArguments {
    @Option(
        help: "With --method distill: train each backbone for about N minutes; the recipe records the number of steps.")
    var minutes: Double?

    @Flag(help: "Resume a merge by distill that was stopped, if there is one.")
    var resume = false

    @Option(help: "With --method distill: seconds between checkpoints.")
    var checkpointSeconds = 60.0

    @Option(help: "With --method distill: steps between checkpoints.")
    var checkpointSteps: Int?

    func validate() throws {
        if let minutes, !(minutes > 0 && minutes <= 1e6) {
            throw ValidationError("--minutes must be above 0, up to 1000000, not \(minutes).")
        }
        guard checkpointSeconds >= 0 else {
            throw ValidationError("--checkpoint-seconds must be at least 0, not \(checkpointSeconds).")
        }
        if let checkpointSteps, checkpointSteps < 1 {
            throw ValidationError("--checkpoint-steps must be at least 1, not \(checkpointSteps).")
        }
    }

    /// Whether any option is given that only distillation has.
    var isGiven: Bool { minutes != nil || resume || checkpointSteps != nil }

    /// How distillation runs.
    var run: MergeJob.DistillationRun {
        var run = MergeJob.DistillationRun()
        if let minutes { run.length = .minutes(minutes) }
        run.resumes = resume
        run.checkpointSeconds = checkpointSeconds
        run.checkpointSteps = checkpointSteps
        return run
    }
}
