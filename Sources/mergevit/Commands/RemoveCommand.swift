import ArgumentParser
import Workflows

/// `mergevit remove`.
struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove tasks from a bundle.",
        discussion: """
            Writes the bundle without the heads and streams of the tasks. Its backbones stay as they are, also where \
            adapters of removed tasks were merged into them, so that rows of the other tasks keep every bit.

            With the bundle's own folder as -o, --force replaces it once the new one is complete.

            Example:
              mergevit remove --bundle three --task birds -o two

            Exit codes: 0 written; 2 wrong usage; 3 the bundle or the output cannot be used; 130 or 143 stopped by a \
            signal.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Required") var output: OutputFolderOption

    @OptionGroup(title: "Required") var removed: RemovedTaskOption

    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    /// The tasks.
    struct RemovedTaskOption: ParsableArguments {
        @Option(name: .customLong("task"), help: .init("NAME", "A task to remove; may be repeated."))
        var tasks: [TextArgument] = []

        func validate() throws {
            guard !tasks.isEmpty else { throw ValidationError("Give at least one --task NAME.") }
        }
    }

    func validate() throws {
        var names: Set<String> = []
        for task in removed.tasks where !names.insert(task.text).inserted {
            throw ValidationError("--task \(task.text) is given twice.")
        }
    }

    func run() throws {
        let tasks = removed.tasks.map(\.text)
        let job = TaskRemovalJob(
            bundle: bundle.bundle.text, tasks: tasks, output: output.path, replaces: replacing.force)
        let heads = try showingStages(isQuiet: quiet.isQuiet) {
            try job.run { discard in Interruption.ends(cleanup: discard) }
        }
        quiet.say("removed \(tasks.joined(separator: ", ")), wrote \(MergeDisplay.text(heads)) to \(output.path)")
    }
}
