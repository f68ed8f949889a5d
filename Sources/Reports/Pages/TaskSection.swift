import Evaluation
import Files
import Images
import VisionTransformers

/// The section of a report about one task.
struct TaskSection {
    let evaluation: TaskEvaluation
    /// The section's anchor.
    let identifier: String
    let thumbnail: Thumbnail

    var task: EvaluationTask { evaluation.task }

    /// The section.
    var html: HTML {
        ReportPage.section(identifier, task.name) {
            HTML.element("p", ["class": "lede"]) { summary }
            switch evaluation.result {
            case nil: ReportPage.notes(notes)
            case .classes(let metrics):
                facts(metrics)
                ReportPage.notes(notes)
                confusion(metrics)
                charts(metrics)
                classes(metrics)
                mistakes
            case .labels(let metrics):
                facts(metrics)
                ReportPage.notes(notes)
                labels(metrics)
                labelMistakes
            case .values(let metrics):
                facts(metrics)
                ReportPage.notes(notes)
                outputs(metrics)
                largestErrors(metrics)
            }
            if let fit = evaluation.fit { facts(fit) }
            failures
        }
    }

    private func facts(_ fit: FitMetrics) -> HTML {
        func share(_ value: Double?) -> String { value.map { NumberText.percent($0) } ?? "–" }
        let level = NumberText.fixed(FitMetrics.level, 2)
        return .element("dl", ["class": "facts"]) {
            ReportPage.fact(
                "AUROC of the fit", fit.auroc.map { NumberText.fixed($0, 3) } ?? "–",
                "against \(NumberText.count(fit.others, "image")) of other tasks")
            ReportPage.fact("Images kept", share(fit.coverage), "with a fit of at least \(level)")
            ReportPage.fact("Other tasks’ images kept", share(fit.othersKept), "with a fit of at least \(level)")
            ReportPage.fact("Top-1 accuracy of the kept", share(fit.accuracyKept), nil)
        }
    }

    private var summary: String {
        let images = NumberText.count(evaluation.images, "image")
        switch evaluation.result {
        case nil: return "None of \(NumberText.count(task.items.count, "image")) of \(task.source) was answered."
        case .classes(let metrics):
            let right = metrics.perClass.reduce(0) { $0 + $1.hits }
            return "\(NumberText.count(right)) of \(images) right, in "
                + "\(NumberText.count(task.classes.count, "class", "classes")). Images: \(task.source)"
        case .labels(let metrics):
            let exact = evaluation.predictions.labels.count { $0?.isExact == true }
            let given = NumberText.count(metrics.perClass.reduce(0) { $0 + $1.predicted }, "label")
            let classes = NumberText.count(task.classes.count, "class", "classes")
            return "\(NumberText.count(exact)) of \(images) were given all their labels and no others; \(given) of "
                + "\(classes) given, \(chosen). Images: \(task.source)"
        case .values:
            return "\(NumberText.count(task.classes.count, "output")) for \(images). Images: \(task.source)"
        }
    }

    /// How predicted labels were chosen.
    private var chosen: String {
        evaluation.predictions.threshold.map { "those of a probability of at least \($0)" } ?? "as they are in the file"
    }

    /// A share with its interval.
    func percent(_ name: String, _ estimate: Estimate?) -> HTML {
        guard let estimate else { return ReportPage.fact(name, "–", "not known") }
        return ReportPage.fact(
            name, NumberText.percent(estimate.value),
            estimate.interval.map { NumberText.range($0) { NumberText.fixed(100 * $0, 1) } })
    }

    private func facts(_ metrics: TaskMetrics) -> HTML {
        .element("dl", ["class": "facts"]) {
            percent("Top-1 accuracy", metrics.top1)
            if task.classes.count > 5 { percent("Top-5 accuracy", metrics.top5) }
            percent("Macro F1", metrics.macroF1)
            percent("Balanced accuracy", metrics.balancedAccuracy)
            percent("Calibration error", metrics.calibrationError)
            if let loss = metrics.logLoss {
                ReportPage.fact(
                    "Log loss, nats", NumberText.fixed(loss.value, 3),
                    loss.interval.map { NumberText.range($0) { NumberText.fixed($0, 3) } })
            } else {
                ReportPage.fact("Log loss, nats", "–", "not known")
            }
        }
    }

    /// What is to be known before the numbers are trusted.
    private var notes: [String] {
        var notes: [String] = []
        if let minimum = evaluation.minimum {
            let state = evaluation.isGoodEnough ? "reached" : "missed"
            let name = task.activation == .sigmoid ? "mean average precision" : "accuracy"
            notes.append("The \(name) asked for, \(NumberText.percent(minimum)), is \(state).")
        }
        let failed = evaluation.predictions.failures.count
        if failed > 0 {
            notes.append("\(NumberText.count(failed, "image")) without an answer, listed below; not counted.")
        }
        if !task.unknown.isEmpty {
            let names = task.unknown.map { "\($0.name) (\(NumberText.count($0.images)))" }.joined(separator: ", ")
            notes.append("Classes that the head does not have, left out: \(names).")
        }
        let empty = task.classesWithoutImages
        if !empty.isEmpty {
            notes.append("Classes without images, not in the means: \(empty.joined(separator: ", ")).")
        }
        return notes + evaluation.predictions.missing.map { "Missing: \($0)." }
    }

    private func confusion(_ metrics: TaskMetrics) -> HTML {
        let matrix = metrics.confusion
        let supports = metrics.perClass.map(\.support)
        let map = HeatMap(
            rows: task.classes, columns: task.classes, rowTitle: "true", columnTitle: "answered",
            description: "Confusion matrix of \(task.name): true classes in rows, answers in columns."
        ) { row, column in
            let count = matrix[row, column]
            guard count > 0 else { return nil }
            let share = Double(count) / Double(supports[row])
            return HeatMap.Cell(
                share: share, text: "\(count)",
                note: "\(task.classes[row]) answered as \(task.classes[column]): \(count), "
                    + "\(NumberText.percent(share, 0)) of the class")
        }
        let figure = HTML.element("figure") {
            HTML.element("div", ["class": "scroll", "tabindex": "0"]) { map.drawn() }
            HTML.element("figcaption") {
                "Images of each true class (row) by answer (column); the stronger the colour, the larger the share of "
                    + "the "
                    + "row."
            }
        }
        // A small matrix leaves room beside it.
        let isSmall = task.classes.count <= 12
        return HTMLBuilder.buildBlock(
            .element("h3") { "Confusion matrix" },
            .element("div", ["class": isSmall ? "columns" : nil]) {
                figure
                confusions(matrix)
            })
    }

    /// The most frequent confusions.
    @HTMLBuilder private func confusions(_ matrix: ConfusionMatrix) -> HTML {
        let pairs = matrix.confusions(limit: 8)
        if !pairs.isEmpty {
            HTML.element("div") {
                HTML.element("h3") { "Most often confused" }
                ReportPage.table("compact", columns: ["shown", "answered", "images"], text: [0, 1]) {
                    for pair in pairs {
                        HTML.element("tr") {
                            HTML.element("td", ["class": "text"]) { task.classes[pair.truth] }
                            HTML.element("td", ["class": "text"]) { task.classes[pair.predicted] }
                            HTML.element("td") { NumberText.count(pair.count) }
                        }
                    }
                }
            }
        }
    }

    @HTMLBuilder private func charts(_ metrics: TaskMetrics) -> HTML {
        if let error = metrics.calibrationError {
            HTML.element("div", ["class": "columns"]) {
                HTML.element("figure") {
                    HTML.element("h3") { "Reliability" }
                    ReliabilityDiagram(
                        calibration: metrics.calibration,
                        description: "Share of right answers by confidence; expected calibration error "
                            + NumberText.percent(error.value)
                    ).drawn()
                    HTML.element("figcaption") {
                        "Bars: share of right answers by confidence. Orange: how far confidence is from it. "
                            + "On the dashed line the two agree."
                    }
                }
                coverage
            }
        }
    }

    /// Accuracy over coverage: that of the most confident predictions.
    private var coverage: HTML {
        let predictions = evaluation.predictions.known.sorted { ($0.confidence ?? 0) > ($1.confidence ?? 0) }
        let first = max(min(10, predictions.count), predictions.count / 50)
        var right = 0
        var points: [(x: Double, y: Double)] = []
        for (index, prediction) in predictions.enumerated() {
            if prediction.isRight { right += 1 }
            guard index + 1 >= first else { continue }
            points.append((Double(index + 1) / Double(predictions.count), Double(right) / Double(index + 1)))
        }
        let lowest = points.map(\.y).min() ?? 0
        let domain = min(0.9, (lowest * 10).rounded(.down) / 10)...1
        return .element("figure") {
            HTML.element("h3") { "Accuracy of the surest answers" }
            LineChart(
                horizontal: .share("share of images answered, surest first, %"),
                vertical: .share("right, %", domain), series: [.init(name: task.name, points: points)],
                description: "Accuracy over the share of images that are answered, by falling confidence."
            ).drawn()
            HTML.element("figcaption") {
                "What a threshold buys: leave out unsure answers, and more of the rest are right."
            }
        }
    }

    /// Recall and precision of each class or label that has images or predictions, as bars.
    func classChart(_ found: [ClassMetrics], each: String, right: String) -> HTML {
        let categories = zip(task.classes, found).filter { $1.support + $1.predicted > 0 }.map { name, found in
            BarChart.Category(
                name: name,
                bars: [
                    .init(
                        value: found.recall?.value, interval: found.recall?.interval,
                        note: "\(name): \(found.hits) of \(found.support) found"),
                    .init(
                        value: found.precision?.value, interval: found.precision?.interval,
                        note: "\(name): \(found.hits) of \(found.predicted) \(right)"),
                ])
        }
        return HTML.element("figure") {
            BarChart(
                series: ["recall", "precision"], categories: categories,
                description: "Recall and precision of each \(each) of \(task.name) with 95 % intervals."
            ).drawn()
            HTML.element("figcaption") { "Percent, with 95 % intervals." }
        }
    }

    /// A share as a number of percent.
    static func percent(_ value: Double?) -> String { value.map { NumberText.fixed(100 * $0, 1) } ?? "–" }

    private func classes(_ metrics: TaskMetrics) -> HTML {
        HTMLBuilder.buildBlock(
            .element("h3") { "Classes" },
            .element("div", ["class": "columns wide"]) {
                classChart(metrics.perClass, each: "class", right: "answers right")
                ReportPage.table("compact", columns: ["class", "images", "precision", "recall", "F1"], text: [0]) {
                    for (name, found) in zip(task.classes, metrics.perClass) {
                        HTML.element("tr") {
                            HTML.element("th", ["scope": "row", "class": "text"]) { name }
                            HTML.element("td") { NumberText.count(found.support) }
                            HTML.element("td") { Self.percent(found.precision?.value) }
                            HTML.element("td") { Self.percent(found.recall?.value) }
                            HTML.element("td") { Self.percent(found.f1) }
                        }
                    }
                }
            })
    }

    @HTMLBuilder private var mistakes: HTML {
        let wrong = zip(task.items, evaluation.predictions.classes).compactMap { item, prediction in
            prediction.flatMap { $0.isRight ? nil : (item, $0) }
        }
        if !wrong.isEmpty {
            // Swift's sort is stable: ties keep their order.
            let surest = wrong.sorted { ($0.1.confidence ?? 0) > ($1.1.confidence ?? 0) }.prefix(MistakeGallery.limit)
            HTML.element("h3") { "Most confident mistakes" }
            MistakeGallery(
                items: surest.map { item, prediction in
                    let sure = prediction.confidence.map { " " + NumberText.percent($0, 0) } ?? ""
                    return .init(
                        path: item.path, truth: task.classes[item.truth],
                        predictions: ["taken for \(task.classes[prediction.predicted])\(sure)"])
                }, folder: task.source, thumbnail: thumbnail
            ).html
        }
    }

    @HTMLBuilder private var failures: HTML {
        let failed = evaluation.predictions.failures
        if !failed.isEmpty {
            HTML.element("h3") { "Images without an answer" }
            ReportPage.table(columns: ["file", "reason"], text: [0, 1]) {
                for failure in failed.prefix(Self.maximumFailures) {
                    HTML.element("tr") {
                        HTML.element("td", ["class": "text wrap"]) { failure.path.description }
                        HTML.element("td", ["class": "text wrap"]) { failure.reason }
                    }
                }
            }
            if failed.count > Self.maximumFailures {
                HTML.element("p", ["class": "muted"]) {
                    "and \(NumberText.count(failed.count - Self.maximumFailures)) more, all in predictions.csv"
                }
            }
        }
    }

    private static let maximumFailures = 50
}
