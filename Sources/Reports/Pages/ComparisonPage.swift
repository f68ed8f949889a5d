package import Evaluation
package import Images

/// The page of a comparison: a table of all tasks, a section per task, and the provenance.
package struct ComparisonPage {
    private let comparison: Comparison
    private let command: String
    private let thumbnail: Thumbnail

    /// A page about a comparison.
    ///
    /// - Parameters:
    ///   - command: the command line that made it.
    ///   - decoding: how images are decoded for thumbnails.
    package init(_ comparison: Comparison, command: String, decoding: DecodingOptions) {
        self.comparison = comparison
        self.command = command
        thumbnail = Thumbnail(decoding: decoding)
    }

    /// The page as one HTML file.
    package var text: String {
        let tasks = comparison.tasks
        let sections = tasks.indices.map { ("task-\($0 + 1)", tasks[$0].task.name) }
        return ReportPage.text(title: "Comparison: \(comparison.names.joined(separator: " and "))") {
            HTML.element("header") {
                HTML.element("h1") { "Comparison" }
                HTML.element("p", ["class": "lede"]) { "A: \(comparison.names[0]). B: \(comparison.names[1])." }
                ReportPage.navigation(
                    [("tasks", "All tasks")] + sections + [("provenance", "Provenance")])
            }
            ReportPage.section("tasks", "All tasks", isFirst: true) {
                overview(sections.map(\.0))
                HTML.element("p", ["class": "muted"]) {
                    "Small: 95 % intervals, Wilson's of accuracies and Bonett and Price's of gains. p: McNemar's test "
                        + "of "
                        + "whether the two are right equally often, by the exact binomial distribution below "
                        + "\(McNemar.exactBelow) images that only one of them has right, else by chi-square with "
                        + "continuity correction."
                }
            }
            for (compared, section) in zip(tasks, sections) {
                self.section(compared, section.0)
            }
            ReportPage.provenance(
                command: command, version: comparison.version,
                facts: zip(["Model A", "Model B"], comparison.models).map { ($0, $1) }, tasks: tasks.map(\.task))
        }
    }

    private func overview(_ anchors: [String]) -> HTML {
        func percent(_ value: Double) -> String { NumberText.fixed(100 * value, 1) }
        func cell(_ estimate: Estimate?) -> HTML {
            .element("td") {
                estimate.map { percent($0.value) } ?? "–"
                if let interval = estimate?.interval {
                    HTML.element("small") { NumberText.range(interval, percent) }
                }
            }
        }
        return ReportPage.table(
            "overview",
            columns: [
                "task", "A top-1, %", "B top-1, %", "gain of B", "p", "both right", "only A", "only B", "both wrong",
                "images",
            ], text: [0]
        ) {
            for (compared, anchor) in zip(comparison.tasks, anchors) {
                HTML.element("tr") {
                    HTML.element("th", ["scope": "row", "class": "text"]) {
                        HTML.element("a", ["href": "#\(anchor)"]) { compared.task.name }
                    }
                    cell(compared.metrics[0]?.top1)
                    cell(compared.metrics[1]?.top1)
                    cell(compared.gain)
                    HTML.element("td") {
                        NumberText.pValue(compared.test.pValue).replacing("p = ", with: "").replacing("p ", with: "")
                        HTML.element("small") { compared.test.form == .exact ? "exact" : "chi-square" }
                    }
                    for count in [
                        compared.bothRight, compared.test.onlyFirst, compared.test.onlySecond, compared.bothWrong,
                        compared.images,
                    ] { HTML.element("td") { NumberText.count(count) } }
                }
            }
        }
    }

    private func section(_ compared: TaskComparison, _ identifier: String) -> HTML {
        ReportPage.section(identifier, compared.task.name) {
            HTML.element("p", ["class": "lede"]) { verdict(compared) }
            ReportPage.notes(notes(compared))
            HTML.element("div", ["class": "columns"]) {
                HTML.element("figure") {
                    HTML.element("h3") { "Where they agree" }
                    table(compared)
                    HTML.element("figcaption") {
                        "Images by who is right. Both gave the same answer to "
                            + "\(NumberText.count(compared.images - compared.disagreements)) of "
                            + "\(NumberText.count(compared.images))."
                    }
                }
                scatter(compared)
            }
            gallery(compared)
        }
    }

    private func verdict(_ compared: TaskComparison) -> String {
        guard let gain = compared.gain else { return "There is not one image that both answered." }
        let points = NumberText.fixed(abs(100 * gain.value), 1)
        let who = gain.value > 0 ? "B" : "A"
        let verdict =
            gain.value == 0 ? "Both are right equally often" : "\(who) is right \(points) points more often"
        let interval = gain.interval.map { NumberText.range($0) { NumberText.fixed(100 * $0, 1) } } ?? ""
        return "\(verdict) (B minus A: \(interval)); \(NumberText.pValue(compared.test.pValue)) by McNemar's test, "
            + "\(compared.test.form.rawValue)."
    }

    private func notes(_ compared: TaskComparison) -> [String] {
        var notes: [String] = []
        let lost = compared.task.items.count - compared.images
        if lost > 0 {
            notes.append("\(NumberText.count(lost, "image")) that not both answered; not counted.")
            for failure in compared.predictions.flatMap(\.failures).prefix(5) {
                notes.append("\(failure.path): \(failure.reason)")
            }
        }
        if !compared.task.unknown.isEmpty {
            let names = compared.task.unknown.map { "\($0.name) (\(NumberText.count($0.images)))" }
            notes.append("Classes that the head does not have, left out: \(names.joined(separator: ", ")).")
        }
        return notes
    }

    private func table(_ compared: TaskComparison) -> HTML {
        let counts = [
            [compared.bothRight, compared.test.onlyFirst], [compared.test.onlySecond, compared.bothWrong],
        ]
        return HeatMap(
            rows: ["A right", "A wrong"], columns: ["right", "wrong"], rowTitle: "", columnTitle: "B",
            description: "Images by whether A and B are right."
        ) { row, column in
            let (count, share) = (counts[row][column], Double(counts[row][column]) / Double(max(compared.images, 1)))
            return HeatMap.Cell(
                share: share, text: "\(count)", note: "\(NumberText.percent(share)) of the images")
        }.drawn()
    }

    @HTMLBuilder private func scatter(_ compared: TaskComparison) -> HTML {
        if let a = compared.metrics[0], let b = compared.metrics[1] {
            let points = zip(compared.task.classes, zip(a.perClass, b.perClass)).compactMap {
                (name, found) -> ScatterChart.Point? in
                guard let x = found.0.recall?.value, let y = found.1.recall?.value else { return nil }
                return .init(
                    x: x, y: y, note: "\(name): A \(NumberText.percent(x)), B \(NumberText.percent(y))")
            }
            HTML.element("figure") {
                HTML.element("h3") { "Recall of each class" }
                ScatterChart(
                    horizontal: .share("recall of A, %"), vertical: .share("recall of B, %"), points: points,
                    description: "Recall of each class by A and by B."
                ).drawn()
                HTML.element("figcaption") { "A point a class: above the dashed line B finds more of it." }
            }
        }
    }

    /// The images that only one model classifies correctly, those with the most confident mistakes first.
    @HTMLBuilder private func gallery(_ compared: TaskComparison) -> HTML {
        let pairs = compared.differing.compactMap { index -> (Int, Prediction, Prediction)? in
            guard let a = compared.predictions[0].classes[index], let b = compared.predictions[1].classes[index],
                a.isRight != b.isRight
            else { return nil }
            return (index, a, b)
        }
        if !pairs.isEmpty {
            let surest = pairs.sorted { Self.wrongConfidence($0) > Self.wrongConfidence($1) }
                .prefix(MistakeGallery.limit)
            HTML.element("h3") { "Most confident disagreements" }
            MistakeGallery(
                items: surest.map { index, a, b in
                    .init(
                        path: compared.task.items[index].path, truth: compared.task.classes[a.truth],
                        predictions: zip(["A", "B"], [a, b]).map { name, prediction in
                            let sure = prediction.confidence.map { " " + NumberText.percent($0, 0) } ?? ""
                            return "\(name): \(compared.task.classes[prediction.predicted])\(sure)"
                        })
                }, folder: compared.task.source, thumbnail: thumbnail
            ).html
        }
    }

    private static func wrongConfidence(_ pair: (Int, Prediction, Prediction)) -> Double {
        (pair.1.isRight ? pair.2.confidence : pair.1.confidence) ?? 0
    }
}
