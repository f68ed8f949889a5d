import ArgumentParser
import Files
import Labelling
import Logging
import Reports
import Workflows

/// `mergevit gallery`.
struct GalleryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gallery",
        abstract: "Show labelled pictures on a page, by task and class.",
        discussion: """
            Reads what label wrote (CSV, TSV or JSON Lines) and writes one HTML file with thumbnails: of each class \
            the surest and the least sure, the pictures whose label was withheld, and the reasons of failures. The \
            page needs neither scripts nor the pictures. An existing FILE is replaced if mergevit wrote it and it has \
            not been changed, else only with --force.

            Example:
              mergevit gallery labels.csv -o page.html

            Exit codes: 0 written; 1 written, but more pictures could not be shown than --max-failed allows; 2 wrong \
            usage; 3 the labels, the pictures or the output cannot be used.
            """)

    @Argument(help: .init("LABELS", "File that label wrote."))
    var labels: PathArgument

    @Option(name: [.customShort("o"), .customLong("output")], help: .init("FILE", "Page to write."))
    var output: PathArgument

    @OptionGroup(title: "Pictures") var selection: GalleryOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var replacing: ReplaceFileOption
    @OptionGroup var tolerance: FailureOptions
    @OptionGroup var quiet: QuietOption

    func run() throws {
        var writing = GalleryWriting(labels: labels.path, output: output.path, settings: selection.settings)
        writing.root = selection.reading.root?.path
        writing.separator = selection.reading.separator
        writing.threads = threads.count
        writing.replaces = replacing.force
        let outcome = try writing.run(quiet)
        guard let text = outcome.shortfall else { return }
        guard !tolerance.allows(outcome.failed, of: outcome.total) else { return quiet.log.warning("\(text)") }
        quiet.log.error("\(text)")
        throw ExitCode(Exit.someFailed)
    }
}
