import ArgumentParser
import Datasets
import Files
import Labelling
import Logging
import Reports
import Workflows

/// Writes the page of a gallery for a command.
struct GalleryWriting {
    let labels: BytePath
    let output: BytePath
    var settings: GallerySelection.Settings
    var root: BytePath?
    var separator = MultiLabelImages.usualSeparator
    var threads = 1
    var replaces = false

    init(labels: BytePath, output: BytePath, settings: GallerySelection.Settings) {
        (self.labels, self.output, self.settings) = (labels, output, settings)
    }

    /// What came of a page.
    struct Outcome {
        fileprivate let page: GalleryPage.Outcome

        /// The pictures that the page does not show, and all that it is about.
        var failed: Int { page.absent.count }
        var total: Int { page.shown + page.absent.count }

        /// How many pictures are not shown, and the first; nil if all are.
        var shortfall: String? {
            page.absent.first.map { first in
                "\(failed) picture\(failed == 1 ? "" : "s") could not be shown; the first: \(first.path): "
                    + first.reason
            }
        }
    }

    /// Checks early that the page can be written.
    ///
    /// - Throws: `OutputError`.
    func check() throws { try OutputFile.replacing(output, force: replaces).discard() }

    /// Writes the page and says how many pictures it has.
    ///
    /// - Throws: `ValidationError` when the page would replace the labels; errors of the labels and of the output.
    func run(_ quiet: QuietOption) throws -> Outcome {
        guard !output.isSameFile(as: labels) else {
            throw ValidationError("-o \(output) is the file of the labels.")
        }
        let file = try OutputFile.replacing(output, force: replaces)
        Interruption.ends(advice: "the page was not written") { file.discard() }
        do {
            let outcome = try showingStages(isQuiet: quiet.isQuiet) {
                var job = GalleryJob(labels: labels, settings: settings)
                (job.root, job.separator) = (root, separator)
                let gallery = try job.run { quiet.log.warning("\(description(of: $0))") }
                let page = try GalleryPage(
                    gallery, source: labels, output: output, command: RawArguments.commandLine,
                    version: MergeVit.versionNumber)
                return try page.write(threads: threads) { try file.write(Array($0.utf8)) }
            }
            try file.commit()
            quiet.say("wrote \(output) with \(outcome.shown) thumbnails")
            return Outcome(page: outcome)
        } catch {
            file.discard()
            throw error
        }
    }
}
