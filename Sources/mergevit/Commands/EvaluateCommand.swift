import ArgumentParser
import Evaluation
import Files
import Labelling
import Logging
import Reports
import Tensors

/// `mergevit evaluate`.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure how well a model labels images whose classes are known.",
        discussion: """
            Evaluates a merged model (--bundle), adapters one by one (--base, --adapter), labels written earlier \
            (--predictions), or two models against each other (--compare). Classes are matched by name. Accuracies go to \
            stdout, all else to the report that -o names.

            Exit codes: 0 measured; 1 more images could not be labelled than --max-failed allows; 2 wrong usage; 3 the model, the data \
            or the report cannot be used; 4 an accuracy is below --min-accuracy or --min-map, whether or not images failed.
            """)

    @OptionGroup var subject: EvaluatedOptions
    @OptionGroup var data: LabelledDataOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var tolerance: FailureOptions

    func validate() throws {
        if subject.base != nil {
            let (tasks, adapters) = (Set(data.tasks), Set(subject.adapters.map(\.name)))
            guard tasks == adapters else {
                let lone = tasks.symmetricDifference(adapters).sorted().joined(separator: ", ")
                throw ValidationError("Each --adapter needs a --data of its name; alone: \(lone).")
            }
        }
        for (option, values) in [("--min-accuracy", data.minimums), ("--min-map", data.minimumPrecisions)] {
            guard subject.compare.isEmpty || values.isEmpty else {
                throw ValidationError("\(option) does not go with --compare.")
            }
        }
    }

    func run() throws {
        // The folder first: a place that cannot be written should be known before the model is read.
        let folder = try report.output.map { try ReportFolder($0, replaces: report.force) }
        Interruption.ends { folder?.discard() ?? true }
        do {
            let code = try showingStages(isQuiet: report.isQuiet) { try evaluate(folder) }
            if code != Exit.allWell { throw ExitCode(code) }
        } catch {
            folder?.discard()
            throw error
        }
    }

    /// Evaluates and writes the report; the exit code, which says whether enough images were labelled, and well enough.
    private func evaluate(_ folder: ReportFolder?) throws -> Int32 {
        let log = Warnings.logger(quiet: report.isQuiet)
        let run = EvaluateRun(data: data, engine: engine, report: report, log: log)
        if case .pair(let first, let second) = try subject.subject() {
            let comparison = try run.comparison(first, second)
            if let folder {
                let page = ComparisonPage(
                    comparison, command: RawArguments.commandLine, decoding: engine.decoding.options)
                try folder.write("metrics.json", comparison.json.serialized())
                try folder.write("metrics.csv", bytes: comparison.csv)
                try folder.write("disagreements.csv", bytes: comparison.disagreements)
                try folder.write("report.html", page.text)
                try folder.commit()
            }
            StandardStream.output.write(EvaluationText.table(comparison))
            let first = comparison.tasks.lazy.flatMap { $0.answers.lazy.flatMap(\.failures) }.first
            return code(comparison.failures, of: comparison.tasks.reduce(0) { $0 + $1.task.items.count }, first, log)
        }
        let rowFile = try folder?.open("predictions.csv")
        let evaluation = try run.evaluation(of: subject, rows: rowFile.map(PredictionRows.init))
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
        let first = evaluation.tasks.lazy.flatMap(\.answers.failures).first
        let code = code(
            evaluation.failures, of: evaluation.tasks.reduce(0) { $0 + $1.task.items.count }, first, log)
        return poor.isEmpty ? code : Exit.notAccurateEnough
    }

    /// The exit code by how many images have no answer, of which it tells if there are too many.
    private func code(_ failed: Int, of total: Int, _ first: TaskPredictions.Failure?, _ log: Logger) -> Int32 {
        guard failed > 0, !tolerance.allows(failed, of: total) else { return Exit.allWell }
        let example = first.map { "; the first: \($0.path): \($0.reason)" } ?? ""
        log.error("\(failed) of \(total) images \(failed == 1 ? "has" : "have") no answer\(example)")
        return Exit.someFailed
    }
}
