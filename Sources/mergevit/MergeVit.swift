import ArgumentParser
import Glibc

/// The command.
@main
struct MergeVit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mergevit",
        abstract: "One Vision Transformer for several image-classification tasks.",
        version: versionNumber,
        subcommands: [
            TrainCommand.self, MergeCommand.self, CheckCommand.self, LabelCommand.self, ListCommand.self,
            GatherCommand.self, EvaluateCommand.self,
            StudyCommand.self, InspectCommand.self,
        ])

    /// The version.
    static let versionNumber = "0.1.0"

    static func main() {
        StandardStream.keepPlaces()
        Interruption.ignoreBrokenPipes()
        let arguments = RawArguments.current()
        if MethodList.isAsked(arguments) {
            StandardStream.output.write(MethodList.text)
            return
        }
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch {
            Interruption.awaitEnd()
            Glibc.exit(Failure.report(error))
        }
    }
}
