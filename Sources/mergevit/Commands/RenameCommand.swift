import ArgumentParser
import Workflows

/// `mergevit rename`.
struct RenameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename",
        abstract: "Rename tasks of a bundle.",
        discussion: """
            Columns of rows, options and reports take the new names; predictions keep every bit. All tasks are renamed \
            at once, so that two can swap their names.

            With the bundle's own folder as -o, --force replaces it once the new one is complete.

            Example:
              mergevit rename --bundle model --task birds=species -o renamed

            Exit codes: 0 written; 2 wrong usage; 3 the bundle or the output cannot be used; 130 or 143 stopped by a \
            signal.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Required") var output: OutputFolderOption
    @OptionGroup(title: "Required") var renamed: RenamedTaskOption

    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    /// The tasks.
    struct RenamedTaskOption: ParsableArguments {
        @Option(name: .customLong("task"), help: .init("OLD=NEW", "A task and its new name; may be repeated."))
        var tasks: [NamedValue] = []

        func validate() throws {
            guard !tasks.isEmpty else { throw ValidationError("Give at least one --task OLD=NEW.") }
            try NamedValue.check(tasks, option: "--task")
        }
    }

    func run() throws {
        let names = renamed.tasks.map { (old: $0.name, new: $0.value.text) }
        let job = TaskRenamingJob(
            bundle: bundle.bundle.text, names: names, output: output.path, replaces: replacing.force)
        let heads = try showingStages(isQuiet: quiet.isQuiet) {
            try job.run { discard in Interruption.ends(cleanup: discard) }
        }
        let changes = names.map { "\($0.old) to \($0.new)" }.joined(separator: ", ")
        quiet.say("renamed \(changes), wrote \(MergeDisplay.text(heads)) to \(output.path)")
    }
}
