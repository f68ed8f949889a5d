import ArgumentParser
import Compute
import Glibc
import Logging

/// The command.
@main
struct MergeVit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mergevit",
        abstract: "One Vision Transformer for several image-classification tasks.",
        version: "\(versionNumber)\n\(FormatList.text)",
        subcommands: [
            TrainCommand.self, MergeCommand.self, CheckCommand.self, AddCommand.self, RemoveCommand.self,
            RenameCommand.self, LabelCommand.self, ListCommand.self, GatherCommand.self, GalleryCommand.self,
            SortCommand.self, FitCommand.self, EvaluateCommand.self, StudyCommand.self, QuantizeCommand.self,
            ExportCommand.self, InspectCommand.self,
        ])

    /// The version.
    static let versionNumber = "0.2.0"
    /// The day of its release, as in CHANGELOG.md.
    static let versionDate = "2026-11-29"

    static func main() {
        // Without the libraries' own clean-up: OpenBLAS waits there for its threads, for ever if they got no memory.
        _exit(run())
    }

    /// Checks the name of the subcommand: the parser takes an unknown one for an argument of the command itself.
    private static func checkSubcommand(_ arguments: [String]) throws {
        let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        guard let name = arguments.first, !name.hasPrefix("-"), !names.contains(name) else { return }
        throw ValidationError("Unknown subcommand '\(name)'.\(Suggestion.sentence(for: name, among: names))")
    }

    /// The arguments with what a project file says; tells which file it is.
    private static func withProject(_ arguments: [String]) throws -> [String] {
        let (arguments, notice) = try ProjectArguments.expanded(arguments)
        let isQuiet = GivenOptions(arguments).has("-q", "--quiet")
        if let notice { Warnings.logger(quiet: isQuiet).notice("\(notice)") }
        return arguments
    }

    /// Runs the command; its exit code.
    private static func run() -> Int32 {
        StandardStream.keepPlaces()
        Interruption.begin()
        Interruption.ignoreBrokenPipes()
        BLASThreads.limit()
        let arguments = RawArguments.current()
        let version = (number: versionNumber, date: versionDate)
        if let answer = ShellRequest.answer(arguments, version: version, description: _dumpHelp) {
            StandardStream.output.write(RawArguments.bytes(of: answer))
            return Exit.allWell
        }
        if MethodList.isAsked(arguments) {
            StandardStream.output.write(MethodList.text)
            return Exit.allWell
        }
        do {
            if let mistake = HelpFlag.mistake(in: arguments) { throw ValidationError(mistake) }
            try checkSubcommand(arguments)
            var command = try parseAsRoot(withProject(arguments))
            try command.run()
            StatusOutput.standardError.clear()
            return Exit.allWell
        } catch {
            Interruption.awaitEnd()
            return Failure.report(error, of: Self.self)
        }
    }
}
