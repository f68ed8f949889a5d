import Evaluation

/// The section of a task whose images show values.
extension TaskSection {
    func facts(_ metrics: RegressionMetrics) -> HTML {
        let isMean = task.classes.count > 1
        return .element("dl", ["class": "facts"]) {
            for (name, estimate) in zip(
                ["Mean absolute error", "Root mean squared error", "R²"],
                [
                    metrics.mean.mae, metrics.mean.rmse, metrics.mean.r2,
                ])
            {
                if let estimate {
                    ReportPage.fact(
                        isMean ? "\(name), mean of the outputs" : name, NumberText.significant(estimate.value),
                        estimate.interval.map { NumberText.range($0, NumberText.significant) })
                } else {
                    ReportPage.fact(name, "–", "the true values are all the same")
                }
            }
        }
    }

    /// The errors of each output, and its predicted over its true values.
    func outputs(_ metrics: RegressionMetrics) -> HTML {
        func text(_ estimate: Estimate?) -> String { estimate.map { NumberText.significant($0.value) } ?? "–" }
        return HTMLBuilder.buildBlock(
            .element("h3") { "Outputs" },
            ReportPage.table("compact", columns: ["output", "MAE", "RMSE", "R²"], text: [0]) {
                for (name, errors) in zip(task.classes, metrics.perOutput) {
                    HTML.element("tr") {
                        HTML.element("th", ["scope": "row", "class": "text"]) { name }
                        for (_, estimate) in errors.estimates { HTML.element("td") { text(estimate) } }
                    }
                }
            },
            .element("div", ["class": "columns"]) {
                for output in task.classes.indices.prefix(Self.maximumCharts) { scatter(output) }
            })
    }

    /// The maximum number of outputs with a chart.
    private static let maximumCharts = 12
    /// The maximum number of points in a chart.
    private static let maximumPoints = 500

    private func scatter(_ output: Int) -> HTML {
        let predictions = evaluation.predictions.values.compactMap(\.self)
        let values = predictions.flatMap { [$0.truth[output], $0.predicted[output]] }
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        let domain = low...max(high, low)
        func axis(_ title: String) -> ChartFrame.Axis {
            ChartFrame.Axis(title: title, domain: domain, text: NumberText.significant)
        }
        let step = max(1, (predictions.count + Self.maximumPoints - 1) / Self.maximumPoints)
        return .element("figure") {
            HTML.element("h3") { task.classes[output] }
            ScatterChart(
                horizontal: axis("true"), vertical: axis("predicted"),
                points: stride(from: 0, to: predictions.count, by: step).map { index in
                    let (truth, predicted) = (predictions[index].truth[output], predictions[index].predicted[output])
                    return .init(
                        x: truth, y: predicted,
                        note: "true \(NumberText.significant(truth)), predicted \(NumberText.significant(predicted))")
                }, description: "Predicted values of \(task.classes[output]) over the true ones."
            ).drawn()
            HTML.element("figcaption") { "A point per image: on the dashed line the two agree." }
        }
    }

    /// The images with the largest errors, relative to the outputs' root mean squared errors.
    @HTMLBuilder func largestErrors(_ metrics: RegressionMetrics) -> HTML {
        let scales = metrics.perOutput.map(\.rmse.value)
        let errors = zip(task.items, evaluation.predictions.values).compactMap { item, prediction in
            prediction.map { (item: item, prediction: $0, error: Self.error($0, scales)) }
        }.filter { $0.error > 0 }
        if !errors.isEmpty {
            // Swift's sort is stable: ties keep their order.
            let largest = errors.sorted { $0.error > $1.error }.prefix(MistakeGallery.limit)
            HTML.element("h3") { "Largest errors" }
            MistakeGallery(
                items: largest.map { item, prediction, _ in
                    .init(
                        path: item.path, truth: "true \(Self.text(prediction.truth))",
                        predictions: ["predicted \(Self.text(prediction.predicted))"])
                }, folder: task.source, thumbnail: thumbnail
            ).html
        }
    }

    /// The sum of the outputs' absolute errors, each divided by its scale.
    private static func error(_ prediction: ValuePrediction, _ scales: [Double]) -> Double {
        scales.indices.filter { scales[$0] > 0 }
            .reduce(0) { $0 + abs(prediction.predicted[$1] - prediction.truth[$1]) / scales[$1] }
    }

    private static func text(_ values: [Double]) -> String {
        let shown = values.prefix(4).map(NumberText.significant).joined(separator: ", ")
        return values.count > 4 ? "\(shown) and \(values.count - 4) more" : shown
    }
}
