import Adapters
import ArgumentParser
import Training
import VisionTransformers

/// The options of a merge that is trained: how long it runs, and how it goes on after it was stopped.
struct DistillOptions: ParsableArguments {
    @Option(
        help:
            "With --method distill: train each backbone for about so many minutes; the recipe says how many steps that was."
    )
    var minutes: Double?

    @Flag(help: "Go on with a merge by distill that was stopped, if there is one.")
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

    /// Checks that the options go with the method.
    func check(with choice: MethodOptions.Choice, stepsAreGiven: Bool) throws {
        guard choice.rule.method.isTrained || (minutes == nil && !resume && checkpointSteps == nil) else {
            throw ValidationError("--minutes, --resume and --checkpoint-steps belong to --method distill.")
        }
        guard minutes == nil || !stepsAreGiven else { throw ValidationError("--steps and --minutes: give one.") }
    }

    /// Where the checkpoints of a backbone stand: those of the first beside the output.
    static func place(_ output: String, group: Int) -> String {
        guard group > 0 else { return output }
        var trimmed = Substring(output)
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        return "\(trimmed).group-\(group + 1)"
    }

    /// Checks what earlier runs left for each backbone: that a run which was not finished is to go on, or to be given up.
    ///
    /// - Throws: `ModelError` naming the checkpoint.
    func prepare(_ output: String, groups: Int, replaces: Bool) throws {
        guard !resume else { return }
        for place in (0..<groups).map({ Self.place(output, group: $0) }) where CheckpointFolder.isThere(output: place) {
            guard replaces else {
                throw ModelError(
                    CheckpointFolder.path(output: place),
                    "holds a run that was not finished: --resume goes on with it, --force begins again")
            }
            CheckpointFolder.remove(output: place)
        }
    }

    /// Removes the checkpoints of a merge that is written.
    static func finish(_ output: String, groups: Int) {
        for group in 0..<groups { CheckpointFolder.remove(output: place(output, group: group)) }
    }
}
