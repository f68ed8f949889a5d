import ArgumentParser
import Datasets
import Files
import Labelling
import Logging
import Tensors
import VisionTransformers

/// `mergevit label`.
struct LabelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label",
        abstract: "Label images for all tasks of a merged model.",
        discussion: """
            Every input gets one row, in the order of the inputs; files of a folder come in byte order of their paths. A \
            file that cannot be labelled has the reason in its row's status.

            With -o FILE, a run that was stopped or killed resumes with the same command, to the same bytes. A FILE that exists is \
            replaced if it is as mergevit wrote it, else only with --force.

            Exit codes: 0 all labelled, or no more failed than --max-failed allows; 1 more inputs failed; 2 wrong usage; 3 the model, \
            a named input, the list of inputs or the output cannot be used, or there is nothing to label; 130 or 143 stopped by a signal.
            """)

    @OptionGroup var input: LabelInputOptions
    @OptionGroup var model: LabelModelOptions
    @OptionGroup var sharding: ShardOptions
    @OptionGroup var output: LabelOutputOptions
    @OptionGroup var tolerance: FailureOptions

    /// Seconds that a batch may take after a signal; a file system that hangs must not keep the command alive.
    private static let grace: UInt32 = 20

    func run() throws {
        let request = Interruption.Request()
        let advice = output.output == nil ? Interruption.nothingWritten : Self.advice
        Interruption.asks(request, advice: advice, grace: LabelCommand.grace)
        do {
            try showingStages(isQuiet: !output.showsProgress, isStopped: { request.number != nil }) {
                try run(request)
            }
        } catch is CancellationRequested {
            throw Interruption.stopped(by: request, "before the first input", advice: advice)
        }
    }

    /// How to resume.
    private static let advice = "to resume, run the same command"

    private func run(_ request: Interruption.Request) throws {
        let rowOptions = try output.rowOptions()
        // Inputs and output first: what is not there and what cannot be written should be known before the model is read.
        let path = output.output.map(RawArguments.path)
        let source = input.source.excluding(path.map { [$0, RunManifest.path(of: $0)] } ?? [])
        try input.all.check(source)
        if let ending = output.unknownEnding {
            log.warning("the ending .\(ending) says nothing about the format; writing CSV (--format chooses)")
        }
        if let path, let file = try ResumableFile.open(path, sync: output.fsync, force: output.force) {
            try label(source, to: file, rowOptions, request)
        } else if sharding.writesManifest {
            throw ValidationError("--shard and --manifest need -o with the name of a file.")
        } else {
            let file =
                if let path { try OutputFile.replacing(path, force: output.force) } else { OutputFile.standardOutput() }
            let model = try OpenedBundle(model.bundleOptions, for: rowOptions.tasks)
            let result = try label(source, to: file, with: model, rowOptions, request)
            if !result.isStopped { try checkNotEmpty(source, result) }
            try finish(result, request, goesOn: false)
        }
    }

    /// Labels into a file, after what an earlier run has left of it.
    private func label(
        _ source: InputSource, to file: ResumableFile, _ rowOptions: RowOptions, _ request: Interruption.Request
    ) throws {
        do {
            let opened = try OpenedBundle(model.bundleOptions, for: rowOptions.tasks, needsDigest: true)
            let settings = RowSettings(
                rows: rowOptions, decoding: model.engine.decoding.options, bundle: opened.digest ?? "",
                precision: opened.precision, resize: opened.resize)
            guard let part = try RunPart(source, sharding, isStopped: { request.number != nil }) else {
                throw CancellationRequested()
            }
            switch try file.begin(part.binding(settings), restart: output.restart) {
            case .fresh: break
            case .goesOn(let inputs): log.notice("resuming after \(inputs) inputs, whose rows are in \(file.partial)")
            case .startsOver: log.warning("\(file.partial): its journal is damaged; beginning anew")
            }
            let result = try label(part.source, to: file, with: opened, rowOptions, request)
            if !result.isStopped {
                try checkNotEmpty(source, result)
                if sharding.writesManifest {
                    let rows = try RowWriter(tasks: opened.classifier.tasks, options: rowOptions)
                    try part.manifest(settings, file, header: rows.header, result).write(beside: file.name)
                }
                try file.commit()
            }
            let kept = file.leave()
            try finish(result, request, goesOn: kept > 0)
        } catch {
            let kept = file.leave()
            if kept > 0, !(error is ExitCode) { log.notice("the rows of \(kept) inputs are kept in \(file.partial)") }
            throw error
        }
    }

    private func label(
        _ source: InputSource, to file: some RowOutput, with model: OpenedBundle, _ rowOptions: RowOptions,
        _ request: Interruption.Request
    ) throws -> LabellingProgress {
        let rows = try RowWriter(tasks: model.classifier.tasks, options: rowOptions)
        for task in model.classifier.tasks where task.activation == .softmax && task.classes.count == 1 {
            log.warning(
                """
                \(task.name): a softmax over one class is 1 for every image; merge again, or say "activation": "sigmoid" in \
                bundle.json
                """)
        }
        var display = ProgressDisplay(source, isShown: output.showsProgress)
        defer { display.finish() }
        let result = try Labelling.label(
            source, preparer: model.preparer, classifier: model.classifier, rows: rows, output: file,
            options: self.model.engine.labellingOptions, progress: { display.update($0) },
            isStopped: { request.number != nil })
        display.finish()
        if !result.isStopped {
            if result.loops > 0 {
                log.warning("left out \(result.loops) folder link(s) that lead back to a folder above them")
            }
        }
        if !output.isQuiet, !result.isStopped { StandardStream.error.write(display.summary(result)) }
        return result
    }

    /// Checks that there was something to do, which is not known beforehand of a list that can be read only once.
    private func checkNotEmpty(_ source: InputSource, _ result: LabellingProgress) throws {
        guard result.done == 0, sharding.part == nil else { return }
        guard input.all.allowEmpty else { throw source.emptyError }
        log.warning("there was nothing to label")
    }

    /// Turns the result into an exit code.
    private func finish(_ result: LabellingProgress, _ request: Interruption.Request, goesOn: Bool) throws {
        if result.isStopped {
            throw Interruption.stopped(
                by: request, "after \(result.done) inputs",
                advice: goesOn
                    ? Self.advice : output.output == nil ? "what was written is not all" : Interruption.nothingWritten)
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

    private var log: Logger { Warnings.logger(quiet: output.isQuiet) }
}
