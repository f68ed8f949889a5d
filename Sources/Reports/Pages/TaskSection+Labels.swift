import Evaluation

/// The section of a task whose images show several labels.
extension TaskSection {
    func facts(_ metrics: MultiLabelMetrics) -> HTML {
        .element("dl", ["class": "facts"]) {
            percent("Mean average precision", metrics.meanAveragePrecision)
            percent("Micro F1", metrics.microF1)
            percent("Macro F1", metrics.macroF1)
            percent("Precision", metrics.microPrecision)
            percent("Recall", metrics.microRecall)
            percent("Exact match", metrics.exactMatch)
        }
    }

    func labels(_ metrics: MultiLabelMetrics) -> HTML {
        HTMLBuilder.buildBlock(
            .element("h3") { "Classes" },
            .element("div", ["class": "columns wide"]) {
                classChart(metrics.perClass, each: "label", right: "given are right")
                ReportPage.table(
                    "compact",
                    columns: ["class", "images", "given", "average precision", "precision", "recall", "F1"], text: [0]
                ) {
                    for (name, found) in zip(task.classes, metrics.perClass) {
                        HTML.element("tr") {
                            HTML.element("th", ["scope": "row", "class": "text"]) { name }
                            HTML.element("td") { NumberText.count(found.support) }
                            HTML.element("td") { NumberText.count(found.predicted) }
                            HTML.element("td") { Self.percent(found.averagePrecision) }
                            HTML.element("td") { Self.percent(found.precision?.value) }
                            HTML.element("td") { Self.percent(found.recall?.value) }
                            HTML.element("td") { Self.percent(found.f1) }
                        }
                    }
                }
            })
    }

    /// The images with the most confident mistakes, in predicted or missing labels.
    @HTMLBuilder var labelMistakes: HTML {
        let wrong = zip(task.items, evaluation.answers.labels).compactMap { item, answer in
            answer.flatMap { $0.isExact ? nil : (item: item, answer: $0, sureness: Self.sureness($0)) }
        }
        if !wrong.isEmpty {
            // Swift's sort is stable: ties keep their order.
            let surest = wrong.sorted { $0.sureness > $1.sureness }.prefix(MistakeGallery.limit)
            HTML.element("h3") { "Most confident mistakes" }
            MistakeGallery(
                items: surest.map { item, answer, _ in
                    let shown = answer.truth.map { task.classes[$0] }.joined(separator: ", ")
                    return .init(
                        path: item.path, truth: shown.isEmpty ? "no label" : shown, answers: mistakes(answer))
                }, folder: task.source, thumbnail: thumbnail
            ).html
        }
    }

    /// The wrongly predicted labels and the missing ones.
    private func mistakes(_ answer: LabelPrediction) -> [String] {
        func names(_ labels: [Int], besides others: [Int]) -> String {
            labels.filter { !others.contains($0) }.map { label in
                let score = answer.scores.isEmpty ? "" : " \(NumberText.percent(answer.scores[label], 0))"
                return task.classes[label] + score
            }.joined(separator: ", ")
        }
        let given = names(answer.predicted, besides: answer.truth)
        let missed = names(answer.truth, besides: answer.predicted)
        return [given.isEmpty ? nil : "wrongly given \(given)", missed.isEmpty ? nil : "missed \(missed)"]
            .compactMap(\.self)
    }

    /// The confidence of the most confident mistake.
    private static func sureness(_ answer: LabelPrediction) -> Double {
        guard !answer.scores.isEmpty else { return 0 }
        let wrong = Set(answer.predicted).symmetricDifference(answer.truth)
        return wrong.map { answer.predicted.contains($0) ? answer.scores[$0] : 1 - answer.scores[$0] }.max() ?? 0
    }
}
