import Evaluation

/// A measure of the similarity of two tasks.
enum SimilarityMeasure: String, CaseIterable {
    case overlap
    case cosine
    case distance

    /// The title of an axis.
    var title: String {
        switch self {
        case .overlap: "overlap of the adapters' subspaces"
        case .cosine: "cosine of the adapters' changes"
        case .distance: "distance of the images for the base"
        }
    }

    func value(_ similarity: TaskSimilarity) -> Double {
        switch self {
        case .overlap: similarity.overlap
        case .cosine: similarity.cosine
        case .distance: similarity.distance
        }
    }
}

extension StudyPage {
    /// The variant in charts of similarity: the first that merged pairs.
    private var shownVariant: String? { study.variants.first(where: hasPairs) }

    /// The drop in accuracy of every task of every pair over a measure of their similarity.
    func scatter(_ measure: SimilarityMeasure) -> ScatterChart? {
        guard let variant = shownVariant else { return nil }
        let points = study.similarities.flatMap { pair in
            [(0, 1), (1, 0)].compactMap { task, other -> ScatterChart.Point? in
                let (name, partner) = (pair.tasks[task], pair.tasks[other])
                guard let drop = study.drop(of: name, with: partner, by: variant) else { return nil }
                let x = measure.value(pair)
                return .init(
                    x: x, y: drop.value,
                    note: "\(name) with \(partner): \(percent(drop.value)) points lost, \(NumberText.fixed(x, 3))")
            }
        }
        guard points.count > 2 else { return nil }
        let domain = Self.domain(points.map(\.x), least: 0.02)
        let decimals = domain.upperBound - domain.lowerBound < 0.06 ? 3 : 2
        return ScatterChart(
            horizontal: .init(title: measure.title, domain: domain, text: { NumberText.fixed($0, decimals) }),
            vertical: .share("lost, points", Self.domain(points.map(\.y), least: 0.05)), points: points, guide: .trend,
            description: "Accuracy lost in pairs over \(measure.title), merged by \(variant).")
    }

    /// The range of the numbers with a margin; at least `least` wide.
    static func domain(_ values: [Double], least: Double) -> ClosedRange<Double> {
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        let room = max(0.06 * (high - low), (least - (high - low)) / 2)
        return low - room...high + room
    }

    /// The correlation of a measure with the drop in pairs.
    func correlation(_ measure: SimilarityMeasure, _ variant: String, centred: Bool) -> Correlation? {
        let names = study.tasks.map(\.name)
        var values: [[String]: Double] = [:]
        for pair in study.similarities {
            values[pair.tasks] = measure.value(pair)
            values[pair.tasks.reversed()] = measure.value(pair)
        }
        guard values.count == names.count * (names.count - 1) else { return nil }
        func drop(_ task: Int, _ other: Int) -> Double? {
            study.drop(of: names[task], with: names[other], by: variant)?.value
        }
        guard names.indices.allSatisfy({ task in names.indices.allSatisfy { $0 == task || drop(task, $0) != nil } })
        else { return nil }
        return Correlation(
            tasks: names.count, centred: centred, { values[[names[$0], names[$1]]] ?? 0 }, { drop($0, $1) ?? 0 })
    }

    @HTMLBuilder var similarity: HTML {
        if let variant = shownVariant, study.tasks.count > 2 {
            HTML.element("p") {
                "Points are tasks in pairs, merged by \(variant): what a task loses over how much alike the two are. "
                    + "If unlike tasks "
                    + "merged better, points would fall to the right with distance and rise with overlap."
            }
            HTML.element("div", ["class": "columns"]) {
                for measure in SimilarityMeasure.allCases {
                    if let chart = scatter(measure) {
                        HTML.element("figure") {
                            HTML.element("h3") { measure.title }
                            chart.drawn()
                        }
                    }
                }
            }
            HTML.element("h3") { "Correlation with what is lost" }
            ReportPage.table(
                "compact",
                columns: ["measure", "method", "r", "rank ρ", "p", "r within tasks", "rank ρ", "p"], text: [0, 1]
            ) {
                for measure in SimilarityMeasure.allCases {
                    for variant in study.variants where hasPairs(variant) { row(measure, variant) }
                }
            }
            HTML.element("p", ["class": "muted"]) {
                """
                Over the ordered pairs of tasks. Within tasks: each task's mean over its partners is taken away first, \
                so that tasks which lose much with anyone do not count. p: Mantel's test, two-sided; the tasks change \
                their names in every possible way. Overlap: √(columns · rows) of the changes' subspaces. \
                Distance: ‖μ₁ − μ₂‖ / √((tr Σ₁ + tr Σ₂)/2) of the features that heads read from the base.
                """
            }
        } else {
            HTML.element("p", ["class": "muted"]) { "Needs pairs of three tasks or more." }
        }
    }

    private func row(_ measure: SimilarityMeasure, _ variant: String) -> HTML {
        let found = [false, true].map { correlation(measure, variant, centred: $0) }
        return .element("tr") {
            HTML.element("th", ["scope": "row", "class": "text"]) { measure.title }
            HTML.element("td", ["class": "text"]) { variant }
            for correlation in found {
                for text in [
                    correlation.map { NumberText.fixed($0.pearson, 2) },
                    correlation.map { NumberText.fixed($0.spearman, 2) },
                    correlation.map { NumberText.fixed($0.pValue, 3) },
                ] { HTML.element("td") { text ?? "–" } }
            }
        }
    }
}
