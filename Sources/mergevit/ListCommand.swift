import ArgumentParser
import Labelling

/// `mergevit list`.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Write the list of what label would label, so that it stays the same.",
        discussion: """
            One path a line, in the order of label's rows. All shards of a run that read the list with \
            --files-from FILE --as-listed agree on their inputs, even while the folders change. An archive is one \
            entry, which stands for its members when the list is read.

            Exit codes: 0 written, 2 wrong usage, 3 the inputs or the output cannot be used.
            """)

    @OptionGroup var input: InputOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "Write to this file instead of stdout.")
    var output: String?

    @Flag(name: [.customShort("0"), .customLong("null")], help: "Separate by NULs, in what is read and written.")
    var isNullSeparated = false

    func run() throws {
        let interruption = Interruption()
        let file =
            if let output { try OutputFile.replacing(RawArguments.path(output)) } else { OutputFile.standardOutput() }
        interruption.watch { file.discard() }
        do {
            try InputListing.write(
                input.source(separator: isNullSeparated ? .nul : .newline, archives: .none), to: file,
                separator: isNullSeparated ? .nul : .newline)
            try file.commit()
        } catch {
            file.discard()
            throw error
        }
    }

    func validate() throws { try input.check() }
}
