import ArgumentParser
import Labelling
import Logging

/// `mergevit label`.
struct LabelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label",
        abstract: "Label images for all tasks of a merged model.",
        discussion: """
            Every input gets one row, in the order of the inputs; files of a folder come in byte order of their paths. A \
            file that cannot be labelled has the reason in its row's status.

            Exit codes: 0 all labelled, 1 some inputs failed, 2 wrong usage, 3 the model, a list of inputs or the output \
            cannot be used.
            """)

    @OptionGroup var input: LabelInputOptions
    @OptionGroup var model: LabelModelOptions
    @OptionGroup var output: LabelOutputOptions

    func run() throws {
        let rowOptions = try output.rowOptions()
        let interruption = Interruption()
        // The output first: a place that cannot be written should be known before the model is read.
        let file =
            if let name = output.output { try OutputFile.replacing(RawArguments.path(name)) } else {
                OutputFile.standardOutput()
            }
        interruption.watch { file.discard() }
        do {
            try label(to: file, rowOptions)
        } catch {
            file.discard()
            throw error
        }
    }

    private func label(to file: OutputFile, _ rowOptions: RowOptions) throws {
        let log = Warnings.logger(quiet: output.isQuiet)
        let (preparer, classifier) = try openBundle(model.bundleOptions, for: rowOptions.tasks)
        let rows = try RowWriter(tasks: classifier.tasks, options: rowOptions)
        let source = input.source
        var display = ProgressDisplay(source, isShown: !output.isQuiet && StandardStream.error.isTerminal)
        defer { display.finish() }
        let result = try Labelling.label(
            source, preparer: preparer, classifier: classifier, rows: rows, output: file,
            options: model.engine.labellingOptions,
            progress: { display.update($0) })
        display.finish()
        try file.commit()
        if result.loops > 0 {
            log.warning("left out \(result.loops) folder link(s) that lead back to a folder above them")
        }
        if result.done == 0 { log.warning("there was nothing to label") }
        if !output.isQuiet { StandardStream.error.write(display.summary(result)) }
        if result.failed > 0 { throw ExitCode(Exit.someFailed) }
    }
}
