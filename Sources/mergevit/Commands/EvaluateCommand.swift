import ArgumentParser
import Evaluation
import Files
import Logging
import Reports
import Tensors
import VisionTransformers
import Workflows

/// `mergevit evaluate`.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure how well a model labels images whose classes are known.",
        discussion: """
            Evaluates a merged model (--bundle), adapters one by one (--base, --adapter), labels written earlier \
            (--predictions), or two models against each other (--compare). Classes are matched by name. Prints \
            accuracies; -o writes a full report.

            Examples:
              mergevit evaluate --bundle model --data birds=photos/birds/test -o report
              mergevit evaluate --bundle model --own --data birds=photos/birds/test

            Exit codes: 0 measured; 1 more images failed than --max-failed allows; 2 wrong usage; 3 the model, the \
            data or the report cannot be used; 4 an accuracy is below --min-accuracy or --min-map, whether or not \
            images failed.
            """)

    @OptionGroup(title: "Subject, one of these") var subject: SubjectOptions
    @OptionGroup(title: "Adapters") var adapters: NamedAdapterOptions
    @OptionGroup(title: "Data") var data: LabelledDataOptions
    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Report") var report: ReportOptions
    @OptionGroup(title: "Model") var engine: EngineOptions
    @OptionGroup var tolerance: FailureOptions
    @OptionGroup var quiet: QuietOption

    func validate() throws {
        try subject.check(adapters)
        if subject.base != nil, !subject.own {
            let (tasks, names) = (Set(data.tasks), Set(adapters.names))
            guard tasks == names else {
                let lone = tasks.symmetricDifference(names).sorted().joined(separator: ", ")
                throw ValidationError("Each --adapter needs a --data of its name; alone: \(lone).")
            }
        }
        if subject.predictions != nil {
            for activation in adapters.activations { try data.checkTask(activation.name, "--activation") }
        }
        for (option, values) in [("--min-accuracy", data.minimums), ("--min-map", data.minimumPrecisions)] {
            guard subject.compare.isEmpty || values.isEmpty else {
                throw ValidationError("\(option) does not go with --compare.")
            }
        }
    }

    func run() throws {
        // The folder first: a place that cannot be written should be reported before the model is read.
        let folder = try report.output.map { try ReportFolder($0.text, replaces: report.replacing.force) }
        Interruption.ends { folder?.discard() ?? true }
        do {
            let code = try showingStages(isQuiet: quiet.isQuiet) { try evaluate(folder) }
            if code != Exit.allWell { throw ExitCode(code) }
        } catch {
            folder?.discard()
            throw error
        }
    }

    /// Evaluates and writes the report; the exit code, which says whether enough images were labelled, and well enough.
    private func evaluate(_ folder: ReportFolder?) throws -> Int32 {
        let log = quiet.log
        var display: ProgressDisplay?
        defer { display?.finish() }
        let job = EvaluationJob(
            data.settings, model: engine.model, options: engine.labellingOptions, bootstrap: report.bootstrap,
            version: MergeVit.versionNumber
        ) { event in
            switch event {
            case .warning(let warning): log.warning("\(description(of: warning))")
            case .otherBase(let text): adapters.warnOfOtherBase(text, log)
            case .precision(let reason): log.notice("--precision auto is \(reason)")
            case .tokenMerging(let merging): log.notice("merging tokens, in each block: \(merging)")
            case .began(let source): display = ProgressDisplay(source, isShown: !quiet.isQuiet)
            case .progress(let progress): display?.update(progress)
            case .ended(let progress):
                display?.finish()
                if !quiet.isQuiet, let display {
                    StandardStream.error.write(display.summary(progress, verb: "evaluated"))
                }
            }
        }
        switch try subject.subject(adapters) {
        case .pair(let first, let second): return try compare(job, first, second, folder, log)
        case .model(let model):
            return try evaluate(folder, log) { try job.evaluation(of: model, rows: $0) }
        case .withOwn(let bundle):
            let recipe = try adapters.recipe("\(bundle)/\(ModelBundle.manifestName)", base: subject.base)
            return try evaluate(folder, log) { try job.evaluation(ofBundle: bundle, withOwn: recipe, rows: $0) }
        }
    }

    private func evaluate(
        _ folder: ReportFolder?, _ log: Logger, _ measure: (PredictionRows?) throws -> EvaluationResult
    ) throws -> Int32 {
        let rowFile = try folder?.open("predictions.csv")
        let evaluation = try measure(rowFile.map(PredictionRows.init))
        if let folder {
            let page = EvaluationPage(evaluation, command: RawArguments.commandLine, decoding: engine.decoding.options)
            try rowFile?.commit()
            try folder.write("metrics.json", evaluation.json.serialized())
            try folder.write("metrics.csv", bytes: evaluation.csv)
            try folder.write("report.html", page.text)
            try folder.commit()
        }
        StandardStream.output.write(EvaluationText.table(evaluation))
        let poor = evaluation.tasks.filter { !$0.isGoodEnough }
        for task in poor { log.error("\(EvaluationText.shortfall(task))") }
        let first = evaluation.tasks.lazy.flatMap(\.predictions.failures).first
        let code = code(
            evaluation.failures, of: evaluation.tasks.reduce(0) { $0 + $1.task.items.count }, first, log)
        return poor.isEmpty ? code : Exit.notAccurateEnough
    }

    private func compare(
        _ job: EvaluationJob, _ first: String, _ second: String, _ folder: ReportFolder?, _ log: Logger
    ) throws -> Int32 {
        let comparison = try job.comparison(first, second)
        if let folder {
            let page = ComparisonPage(comparison, command: RawArguments.commandLine, decoding: engine.decoding.options)
            try folder.write("metrics.json", comparison.json.serialized())
            try folder.write("metrics.csv", bytes: comparison.csv)
            try folder.write("disagreements.csv", bytes: comparison.disagreements)
            try folder.write("report.html", page.text)
            try folder.commit()
        }
        StandardStream.output.write(EvaluationText.table(comparison))
        let failure = comparison.tasks.lazy.flatMap { $0.predictions.lazy.flatMap(\.failures) }.first
        return code(comparison.failures, of: comparison.tasks.reduce(0) { $0 + $1.task.items.count }, failure, log)
    }

    /// The exit code by how many images have no prediction, which is reported if there are too many.
    private func code(_ failed: Int, of total: Int, _ first: TaskPredictions.Failure?, _ log: Logger) -> Int32 {
        guard failed > 0, !tolerance.allows(failed, of: total) else { return Exit.allWell }
        let example = first.map { "; the first: \($0.path): \($0.reason)" } ?? ""
        log.error("\(failed) of \(total) images \(failed == 1 ? "has" : "have") no answer\(example)")
        return Exit.someFailed
    }
}
