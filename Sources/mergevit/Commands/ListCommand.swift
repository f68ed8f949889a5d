import ArgumentParser
import Datasets
import Files
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

            A FILE of -o that exists is replaced if it is as mergevit wrote it, else only with --force.

            Exit codes: 0 written, 2 wrong usage, 3 a named input is not there, there is nothing to list, or the output cannot be used.
            """)

    @OptionGroup var input: InputOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "Write to this file instead of stdout.")
    var output: String?

    @Flag(help: "Replace FILE even if it was changed after mergevit wrote it, or if something else wrote it.")
    var force = false

    @Flag(name: [.customShort("0"), .customLong("null")], help: "Separate by NULs, in what is read and written.")
    var isNullSeparated = false

    func run() throws {
        let path = output.map(RawArguments.path)
        let source = input.source(separator: isNullSeparated ? .nul : .newline, archives: .none)
            .excluding(path.map { [$0] } ?? [])
        try input.check(source)
        let file = if let path { try OutputFile.replacing(path, force: force) } else { OutputFile.standardOutput() }
        Interruption.ends { file.discard() }
        do {
            let count = try showingStages(isQuiet: output == nil && StandardStream.output.isTerminal) {
                try InputListing.write(source, to: file, separator: isNullSeparated ? .nul : .newline)
            }
            guard count > 0 || input.allowEmpty else { throw source.emptyError }
            try file.commit()
        } catch {
            file.discard()
            throw error
        }
    }

    func validate() throws {
        try input.check()
        guard output != nil || !force else { throw ValidationError("--force needs -o.") }
    }
}
