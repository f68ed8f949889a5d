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
        let wrong = zip(task.items, evaluation.predictions.labels).compactMap { item, prediction in
            prediction.flatMap { $0.isExact ? nil : (item: item, prediction: $0, sureness: Self.sureness($0)) }
        }
        if !wrong.isEmpty {
            // Swift's sort is stable: ties keep their order.
            let surest = wrong.sorted { $0.sureness > $1.sureness }.prefix(MistakeGallery.limit)
            HTML.element("h3") { "Most confident mistakes" }
            MistakeGallery(
                items: surest.map { item, prediction, _ in
                    let shown = prediction.truth.map { task.classes[$0] }.joined(separator: ", ")
                    return .init(
                        path: item.path, truth: shown.isEmpty ? "no label" : shown, predictions: mistakes(prediction))
                }, folder: task.source, thumbnail: thumbnail
            ).html
        }
    }

    /// The wrongly predicted labels and the missing ones.
    private func mistakes(_ prediction: LabelPrediction) -> [String] {
        func names(_ labels: [Int], besides others: [Int]) -> String {
            labels.filter { !others.contains($0) }.map { label in
                let score = prediction.scores.isEmpty ? "" : " \(NumberText.percent(prediction.scores[label], 0))"
                return task.classes[label] + score
            }.joined(separator: ", ")
        }
        let given = names(prediction.predicted, besides: prediction.truth)
        let missed = names(prediction.truth, besides: prediction.predicted)
        return [given.isEmpty ? nil : "wrongly given \(given)", missed.isEmpty ? nil : "missed \(missed)"]
            .compactMap(\.self)
    }

    /// The confidence of the most confident mistake.
    private static func sureness(_ prediction: LabelPrediction) -> Double {
        guard !prediction.scores.isEmpty else { return 0 }
        let wrong = Set(prediction.predicted).symmetricDifference(prediction.truth)
        return wrong.map { prediction.predicted.contains($0) ? prediction.scores[$0] : 1 - prediction.scores[$0] }.max()
            ?? 0
    }
}
