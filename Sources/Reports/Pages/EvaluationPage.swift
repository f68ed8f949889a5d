package import Evaluation
import Files
package import Images
import VisionTransformers

/// The page of an evaluation: a table of all tasks, a section per task, and the provenance.
package struct EvaluationPage {
    /// A task and the anchor of its section.
    typealias Row = (anchor: String, evaluation: TaskEvaluation)

    private let evaluation: EvaluationResult
    private let command: String
    private let thumbnail: Thumbnail

    /// A page about an evaluation.
    ///
    /// - Parameters:
    ///   - command: the command line that made it.
    ///   - decoding: how images are decoded for thumbnails.
    package init(_ evaluation: EvaluationResult, command: String, decoding: DecodingOptions) {
        self.evaluation = evaluation
        self.command = command
        thumbnail = Thumbnail(decoding: decoding)
    }

    /// The page as one HTML file.
    package var text: String {
        let tasks = evaluation.tasks
        let sections = tasks.indices.map { ("task-\($0 + 1)", tasks[$0].task.name) }
        return ReportPage.text(title: "Evaluation: \(tasks.map(\.task.name).joined(separator: ", "))") {
            HTML.element("header") {
                HTML.element("h1") { "Evaluation" }
                HTML.element("p", ["class": "lede"]) { subtitle }
                ReportPage.navigation(
                    [("tasks", "All tasks")] + (evaluation.own == nil ? [] : [("own", "What merging costs")])
                        + sections + [("provenance", "Provenance")])
            }
            ReportPage.section("tasks", "All tasks", isFirst: true) {
                if !rows(.softmax).isEmpty { overview(rows(.softmax)) }
                if !rows(.sigmoid).isEmpty { labelOverview(rows(.sigmoid)) }
                if !rows(.identity).isEmpty { valueOverview(rows(.identity)) }
                HTML.element("p", ["class": "muted"]) { "Small: 95 % intervals. \(method)" }
            }
            if let own = evaluation.own { section(own) }
            for (task, section) in zip(tasks, sections) {
                TaskSection(evaluation: task, identifier: section.0, thumbnail: thumbnail).html
            }
            ReportPage.provenance(
                command: command, version: evaluation.version,
                facts: [("Model", evaluation.model)] + (evaluation.own.map { [("Own adapters", $0.adapters)] } ?? []),
                tasks: tasks.map(\.task))
        }
    }

    /// Each task's own adapter against the merge.
    private func section(_ own: OwnComparison) -> HTML {
        ReportPage.section("own", "What merging costs") {
            if own.tasks.count > 1, let mean = own.meanKept {
                HTML.element("p", ["class": "lede"]) {
                    "The merge keeps \(NumberText.percent(mean)) of its adapters' accuracy, as a mean over the tasks."
                }
            }
            ReportPage.table(
                "own",
                columns: [
                    "task", "own adapter, %", "merged, %", "kept, %", "difference", "p", "only own right",
                    "only merged right", "images",
                ], text: [0]
            ) {
                for compared in own.tasks {
                    HTML.element("tr") {
                        HTML.element("th", ["scope": "row", "class": "text"]) { compared.task.name }
                        cell(compared.metrics[0]?.top1, percent)
                        cell(compared.metrics[1]?.top1, percent)
                        cell(compared.kept.map { Estimate($0, nil) }, percent)
                        cell(compared.gain, percent)
                        HTML.element("td") {
                            NumberText.pValue(compared.test.pValue).replacing("p = ", with: "")
                                .replacing("p ", with: "")
                            HTML.element("small") { compared.test.form == .exact ? "exact" : "chi-square" }
                        }
                        for count in [compared.test.onlyFirst, compared.test.onlySecond, compared.images] {
                            HTML.element("td") { NumberText.count(count) }
                        }
                    }
                }
            }
            HTML.element("p", ["class": "muted"]) {
                "Each adapter alone over the base, against the merge, on the images that both answered. Difference: "
                    + "merged minus own, in points, with Bonett and Price's interval. p: McNemar's test of whether "
                    + "both are right equally often."
            }
        }
    }

    /// The tasks of an activation with the anchors of their sections.
    private func rows(_ activation: HeadActivation) -> [Row] {
        evaluation.tasks.enumerated().filter { $1.task.activation == activation }.map { ("task-\($0 + 1)", $1) }
    }

    private var subtitle: String {
        let images = evaluation.tasks.reduce(0) { $0 + $1.task.items.count }
        let path = evaluation.model.objectValue?["path"]?.stringValue ?? ""
        var text =
            "\(path.isEmpty ? "" : "\(path): ")\(NumberText.count(evaluation.tasks.count, "task")), "
            + NumberText.count(images, "image")
        if evaluation.failures > 0 { text += ", \(NumberText.count(evaluation.failures)) without an answer" }
        if rows(.softmax).count > 1, let mean = evaluation.meanAccuracy {
            text += ". Mean top-1 accuracy of the tasks: \(NumberText.percent(mean))"
        }
        return text
    }

    private var method: String {
        let means =
            evaluation.bootstrap.resamples > 0
            ? "of all else from \(NumberText.count(evaluation.bootstrap.resamples)) bootstrap samples "
                + "(seed \(evaluation.bootstrap.seed))" : "none of all else"
        let shares = rows(.sigmoid).isEmpty ? "accuracies" : "accuracies and exact matches"
        return
            "Wilson's of \(shares), \(means). Means over classes are over those with images; calibration error over "
            + "\(ConfidenceCalibration.defaultBins) bins of equal width."
    }

    private func overview(_ rows: [Row]) -> HTML {
        ReportPage.table(
            "overview",
            columns: [
                "task", "top-1, %", "0 to 100 %", "top-5, %", "macro F1, %", "balanced, %", "calibration error, %",
                "log loss", "images", "failed",
            ], text: [0, 2]
        ) {
            for (anchor, evaluated) in rows {
                let metrics = evaluated.metrics
                HTML.element("tr") {
                    heading(anchor, evaluated)
                    cell(metrics?.top1, percent)
                    HTML.element("td", ["class": "text"]) { if let top1 = metrics?.top1 { interval(top1) } }
                    cell(evaluated.task.classes.count > 5 ? metrics?.top5 : nil, percent)
                    cell(metrics?.macroF1, percent)
                    cell(metrics?.balancedAccuracy, percent)
                    cell(metrics?.calibrationError, percent)
                    cell(metrics?.logLoss) { NumberText.fixed($0, 3) }
                    counts(evaluated)
                }
            }
        }
    }

    /// An estimate on a line from 0 to 1.
    private func interval(_ estimate: Estimate) -> HTML {
        let x = LinearScale(domain: 0...1, from: 4, to: 136)
        let text = NumberText.percent(estimate.value)
        return Drawing.svg(width: 140, height: 14, description: text, isFixed: true) {
            Drawing.line(x(0), 7, x(1), 7, "track")
            if let interval = estimate.interval { Drawing.line(x(interval.low), 7, x(interval.high), 7, "span") }
            Drawing.circle(x(estimate.value), 7, 3.5, "mark", note: text)
        }
    }
}

extension EvaluationPage {
    /// The table of the tasks whose images show several labels.
    func labelOverview(_ rows: [Row]) -> HTML {
        ReportPage.table(
            "overview",
            columns: [
                "task", "mAP, %", "micro F1, %", "macro F1, %", "precision, %", "recall, %", "exact match, %", "images",
                "failed",
            ], text: [0]
        ) {
            for (anchor, evaluated) in rows {
                HTML.element("tr") {
                    heading(anchor, evaluated)
                    for (_, estimate) in evaluated.estimates { cell(estimate, percent) }
                    counts(evaluated)
                }
            }
        }
    }

    /// The table of the tasks whose images show values.
    func valueOverview(_ rows: [Row]) -> HTML {
        ReportPage.table("overview", columns: ["task", "MAE", "RMSE", "R²", "images", "failed"], text: [0]) {
            for (anchor, evaluated) in rows {
                HTML.element("tr") {
                    heading(anchor, evaluated)
                    for (_, estimate) in evaluated.estimates { cell(estimate, NumberText.significant) }
                    counts(evaluated)
                }
            }
        }
    }

    func percent(_ value: Double) -> String { NumberText.fixed(100 * value, 1) }

    /// A task's name, and whether it reaches its minimum.
    func heading(_ anchor: String, _ evaluated: TaskEvaluation) -> HTML {
        HTML.element("th", ["scope": "row", "class": "text"]) {
            HTML.element("a", ["href": "#\(anchor)"]) { evaluated.task.name }
            if let minimum = evaluated.minimum {
                let isReached = evaluated.isGoodEnough
                HTML.void("br")
                HTML.element("small", ["class": isReached ? "good" : "bad"]) {
                    "\(isReached ? "✓ at least" : "✗ below") \(NumberText.percent(minimum))"
                }
            }
        }
    }

    /// An estimate with its interval.
    func cell(_ estimate: Estimate?, _ text: (Double) -> String) -> HTML {
        .element("td") {
            estimate.map { text($0.value) } ?? "–"
            if let interval = estimate?.interval {
                HTML.element("small") { "\(text(interval.low))–\(text(interval.high))" }
            }
        }
    }

    /// The number of images, and of images without a prediction.
    func counts(_ evaluated: TaskEvaluation) -> HTML {
        HTMLBuilder.buildBlock(
            .element("td") { NumberText.count(evaluated.task.items.count) },
            .element("td") { NumberText.count(evaluated.predictions.failures.count) })
    }
}
