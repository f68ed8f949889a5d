import ArgumentParser
import Files
import Labelling
import Logging
import Workflows

/// `mergevit label`.
struct LabelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label",
        abstract: "Label images for all tasks of a merged model.",
        discussion: """
            Writes one row per image, in the order of the inputs; the files of a folder come in byte order of their \
            paths. The row of a file that cannot be labelled gives the reason in its status.

            With -o FILE, the same command resumes an interrupted run; the result is byte-identical to an \
            uninterrupted one. An existing FILE is replaced if mergevit wrote it and it has not been changed, else \
            only with --force.

            Example:
              mergevit label --bundle model photos/ -o labels.csv

            Exit codes: 0 all images labelled, or no more failed than --max-failed allows; 1 more images failed; 2 \
            wrong usage; 3 the model, a named input, the list of inputs or the output cannot be used, or there are no \
            images; 130 or 143 stopped by a signal.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Inputs") var input: LabelInputOptions
    @OptionGroup(title: "Output") var output: LabelOutputOptions
    @OptionGroup(title: "Rows") var rows: RowFormatOptions
    @OptionGroup(title: "Model") var engine: EngineOptions
    @OptionGroup(title: "Shards") var sharding: ShardOptions
    @OptionGroup var tolerance: FailureOptions
    @OptionGroup var quiet: QuietOption

    func validate() throws {
        try rows.checkFormat(output.path)
        guard output.path != nil || !sharding.writesManifest else {
            throw ValidationError("--shard and --manifest need -o.")
        }
    }

    /// Seconds that a batch may take after a signal; a file system that hangs must not keep the command alive.
    private static let grace: UInt32 = 20
    /// How to resume.
    private static let advice = "to resume, run the same command"

    func run() throws {
        let request = Interruption.Request()
        let advice = output.path == nil ? Interruption.nothingWritten : Self.advice
        Interruption.asks(request, advice: advice, grace: LabelCommand.grace)
        do {
            try showingStages(isQuiet: !showsProgress, isStopped: { request.number != nil }) { try label(request) }
        } catch is CancellationRequested {
            throw Interruption.stopped(by: request, "before the first input", advice: advice)
        }
    }

    private func label(_ request: Interruption.Request) throws {
        let log = quiet.log
        if let ending = rows.unknownEnding(output.path) {
            log.warning("the ending .\(ending) says nothing about the format; writing CSV (--format chooses)")
        }
        try gallery?.check()
        var display: ProgressDisplay?
        defer { display?.finish() }
        let outcome = try job.run(isStopped: { request.number != nil }) { event in
            switch event {
            case .notice(let text): log.notice("\(text)")
            case .warning(let text): log.warning("\(text)")
            case .precision(let reason): log.notice("--precision auto is \(reason)")
            case .tokenMerging(let merging): log.notice("merging tokens, in each block: \(merging)")
            case .began(let source): display = ProgressDisplay(source, isShown: showsProgress)
            case .progress(let progress): display?.update(progress)
            case .ended(let result):
                display?.finish()
                if !result.isStopped, let display, !quiet.isQuiet {
                    StandardStream.error.write(display.summary(result))
                }
            }
        }
        if let gallery, !outcome.result.isStopped, outcome.result.done > 0 {
            if let text = try gallery.run(quiet).shortfall { log.warning("\(text)") }
        }
        try finish(outcome, request, log)
    }

    /// The page to write after the rows.
    private var gallery: GalleryWriting? {
        guard let labels = output.path, let page = output.gallery else { return nil }
        var gallery = GalleryWriting(labels: labels, output: page.path, settings: .init())
        gallery.separator = rows.labelSeparator?.text ?? gallery.separator
        (gallery.threads, gallery.replaces) = (engine.threads.count, output.file.replacing.force)
        return gallery
    }

    private var job: LabellingJob {
        get throws {
            var job = LabellingJob(
                bundle: bundle.bundle.text, model: engine.model, source: input.source,
                rows: try rows.rowOptions(output.path), options: engine.labellingOptions,
                version: MergeVit.versionNumber)
            job.output = output.path
            job.sync = output.fsync
            job.replaces = output.file.replacing.force
            job.restarts = output.restart
            job.reused = output.reuse?.path
            job.features = output.featureOptions
            job.shard = sharding.part
            job.writesManifest = sharding.writesManifest
            job.allowsEmpty = input.all.allowEmpty
            return job
        }
    }

    /// Whether there is a status line: not where rows go to a terminal.
    private var showsProgress: Bool { !quiet.isQuiet && (output.path != nil || !StandardStream.output.isTerminal) }

    /// Turns the outcome into an exit code.
    private func finish(_ outcome: LabellingJob.Outcome, _ request: Interruption.Request, _ log: Logger) throws {
        let result = outcome.result
        if result.isStopped {
            throw Interruption.stopped(
                by: request, "after \(result.done) inputs",
                advice: outcome.canResume
                    ? Self.advice : output.path == nil ? "the output is incomplete" : Interruption.nothingWritten)
        }
        guard result.failed > 0 else { return }
        let text = FailureText.sentence(result, hasEndings: input.all.endings.names != nil)
        guard !tolerance.allows(result.failed, of: result.done) else {
            log.warning("\(text)")
            return
        }
        log.error("\(text)")
        throw ExitCode(Exit.someFailed)
    }
}
