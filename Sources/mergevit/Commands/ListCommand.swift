import ArgumentParser
import Datasets
import Files

/// `mergevit list`.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Write the list of the images that label would label.",
        discussion: """
            Writes one path per line, in the order of label's rows. All shards of a run that read the list with \
            --files-from FILE --as-listed agree on their inputs, even if the folders change meanwhile. An archive is \
            one entry; its members are found when the list is read.

            An existing FILE is replaced if mergevit wrote it and it has not been changed, else only with --force.

            Example:
              mergevit list photos/ -o inputs.list

            Exit codes: 0 written; 2 wrong usage; 3 a named input does not exist, there are no images, or the output \
            cannot be used.
            """)

    @OptionGroup(title: "Inputs") var input: InputOptions
    @OptionGroup(title: "Output") var output: OutputFileOptions

    func run() throws {
        let path = output.output?.path
        let source = input.source(archives: .none).excluding(path.map { [$0] } ?? [])
        try input.check(source)
        let file =
            if let path { try OutputFile.replacing(path, force: output.replacing.force) } else {
                OutputFile.standardOutput()
            }
        Interruption.ends { file.discard() }
        do {
            let count = try showingStages(isQuiet: path == nil && StandardStream.output.isTerminal) {
                try InputListing.write(source, to: file, separator: input.separator)
            }
            guard count > 0 || input.allowEmpty else { throw source.emptyError }
            try file.commit()
        } catch {
            file.discard()
            throw error
        }
    }
}
