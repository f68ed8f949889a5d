import Evaluation

extension StudyPage {
    // MARK: Pairs

    /// The accuracy that each task loses when merged with each other task.
    func pairs(_ variant: String) -> HeatMap {
        let names = study.tasks.map(\.name)
        func drop(_ row: Int, _ column: Int) -> Estimate? {
            row == column ? nil : study.drop(of: names[row], with: names[column], by: variant)
        }
        // One scale for all pictures, and differences of a few points stay pale.
        let most = max(study.variants.flatMap(drops).map(abs).max() ?? 0, 0.1)
        return HeatMap(
            rows: names, columns: names, rowTitle: "task", columnTitle: "merged with",
            description: "Points of accuracy that a task (row) loses when merged with another (column) by \(variant)."
        ) { row, column in
            guard let drop = drop(row, column) else { return nil }
            let range = drop.interval.map { NumberText.range($0, percent) } ?? ""
            return HeatMap.Cell(
                share: abs(drop.value) / most, text: NumberText.fixed(100 * drop.value, 1),
                note: "\(names[row]) with \(names[column]): \(percent(drop.value)) points lost (\(range))",
                isOpposite: drop.value < 0)
        }
    }

    /// The accuracy that every task of every pair loses.
    private func drops(_ variant: String) -> [Double] {
        study.masks(variant, size: 2).compactMap { $0.task.single.gain(over: $0.masks)?.value }
    }

    @HTMLBuilder var pairFigures: HTML {
        HTML.element("p") {
            "Points of accuracy that a task (row) loses when its adapter is merged with one other (column), against "
                + "its adapter alone. "
                + "Orange, below zero: it gains."
        }
        HTML.element("div", ["class": "columns"]) {
            for variant in study.variants where hasPairs(variant) {
                HTML.element("figure") {
                    HTML.element("h3") { variant }
                    HTML.element("div", ["class": "scroll", "tabindex": "0"]) { pairs(variant).drawn() }
                }
            }
        }
    }

    // MARK: Heads alone

    /// The largest merges of up to four variants, compared with the tasks' adapters and heads alone.
    var besideHeads: BarChart? {
        guard let size = study.sizes.last, size > 1 else { return nil }
        let variants = study.variants.filter { !study.results($0, size: size).isEmpty }.prefix(4)
        let series = ["own adapter"] + variants + ["head alone"]
        let categories = study.tasks.map { task in
            let merged = variants.map { variant in
                let predictions = study.masks(variant, size: size).filter { $0.task.name == task.name }.map(\.masks)
                // Of several merges of the task the mean has no interval here.
                return predictions.count == 1 ? predictions[0].accuracy : Self.mean(predictions)
            }
            let bars = [task.single.accuracy] + merged + [task.headOnly.accuracy]
            return BarChart.Category(
                name: task.name,
                bars: zip(series, bars).map { name, estimate in
                    .init(
                        value: estimate?.value, interval: estimate?.interval,
                        note: "\(task.name), \(name): \(estimate.map { percent($0.value) } ?? "–") %")
                })
        }
        return BarChart(
            series: series, looks: [5] + Array(1...max(variants.count, 1)).prefix(variants.count) + [6],
            categories: categories,
            description: "Accuracy of each task by its own adapter, in merges of \(size) tasks, and by its head alone.")
    }

    private static func mean(_ masks: [CorrectnessMask]) -> Estimate? {
        let values = masks.compactMap { $0.accuracy?.value }
        return values.isEmpty ? nil : Estimate(values.reduce(0, +) / Double(values.count), nil)
    }

    @HTMLBuilder var heads: HTML {
        HTML.element("p") {
            "A head over the base as it is needs no merging and costs the same to run. A merge is worth having where "
                + "it is above that."
        }
        if let chart = besideHeads {
            HTML.element("figure") {
                chart.drawn()
                HTML.element("figcaption") {
                    "Top-1 accuracy in percent with 95 % intervals, \(study.sizes.last ?? 0) tasks merged."
                }
            }
        }
        HTML.element("h3") { "How often" }
        ReportPage.table(
            "compact",
            columns: ["method", "tasks", "above", "surely", "equal", "below", "surely", "mean difference, points"],
            text: [0]
        ) {
            for (variant, size) in cases { headsRow(variant, size) }
        }
        HTML.element("p", ["class": "muted"]) {
            "Tasks of merges whose accuracy is above, equal to or below that of the task's head alone. Surely: p below "
                + "0.05 by McNemar's "
                + "test, each for itself; by chance one in forty would be on either side."
        }
    }

    private func headsRow(_ variant: String, _ size: Int) -> HTML {
        let tests = study.masks(variant, size: size).map { $0.masks.test(against: $0.task.headOnly) }
        func sure(_ test: McNemar) -> Bool { test.pValue < 0.05 }
        let above = tests.filter { $0.onlyFirst > $0.onlySecond }
        let below = tests.filter { $0.onlyFirst < $0.onlySecond }
        let counts = [
            size, above.count, above.count(where: sure), tests.count - above.count - below.count, below.count,
            below.count(where: sure),
        ]
        return .element("tr") {
            HTML.element("th", ["scope": "row", "class": "text"]) { variant }
            for count in counts { HTML.element("td") { NumberText.count(count) } }
            cell(means.overHeads(variant, size: size))
        }
    }

    // MARK: Number of tasks

    /// Normalised accuracy over the number of tasks, one line per variant.
    var overSizes: LineChart? {
        let sizes = study.sizes.filter { $0 > 1 }
        let lines = study.variants.compactMap { variant -> LineChart.Series? in
            let found = sizes.compactMap { size in means.normalised(variant, size: size).map { (size, $0) } }
            guard !found.isEmpty else { return nil }
            return LineChart.Series(
                name: variant, points: [(x: 1, y: 1)] + found.map { (x: Double($0.0), y: $0.1.value) },
                intervals: [nil] + found.map(\.1.interval))
        }
        var all = lines
        if let heads = means.headOnly, let last = sizes.last {
            all.append(.init(name: "heads alone", points: [1, Double(last)].map { (x: $0, y: heads.value) }))
        }
        guard !lines.isEmpty, let last = sizes.last else { return nil }
        let values = all.flatMap { line in
            line.points.map(\.y) + line.intervals.compactMap { $0 }.flatMap { [$0.low, $0.high] }
        }
        let xPositions = ([1] + sizes).map(Double.init)
        return LineChart(
            horizontal: .init(
                title: "tasks merged", domain: 0.8...Double(last) + 0.2, text: { NumberText.fixed($0, 0) },
                places: xPositions),
            vertical: .share("kept, % of the own adapter's accuracy", Self.domain(values, least: 0.1)), series: all,
            description: "Mean normalised accuracy over the number of tasks merged.")
    }

    @HTMLBuilder var sizes: HTML {
        if let chart = overSizes {
            HTML.element("figure") {
                chart.drawn()
                HTML.element("figcaption") {
                    "Merged accuracy as a share of that of the task's own adapter: the mean over every task of every "
                        + "merge of so many "
                        + "tasks, with 95 % intervals."
                }
            }
        }
    }

    // MARK: Everything

    var allMerges: HTML {
        ReportPage.table(
            "compact",
            columns: [
                "method", "tasks", "scale", "task", "accuracy, %", "kept, %", "same label, %", "KL, nats",
                "own adapter, %", "head alone, %", "images",
            ], text: [0, 1, 3]
        ) {
            for result in study.results {
                for (index, (name, masks)) in zip(result.tasks, result.masks).enumerated() {
                    let agreement = result.agreements?[index]
                    if let task = study.task(name) {
                        HTML.element("tr") {
                            HTML.element("td", ["class": "text"]) { result.variant }
                            HTML.element("td", ["class": "text"]) { result.tasks.joined(separator: " + ") }
                            HTML.element("td") { NumberText.fixed(result.scale, 2) }
                            HTML.element("td", ["class": "text"]) { name }
                            cell(masks.accuracy)
                            cell(masks.ratio(to: task.single))
                            cell(agreement?.same.accuracy)
                            HTML.element("td") { agreement.map { NumberText.fixed($0.divergence, 3) } ?? "–" }
                            HTML.element("td") { task.single.accuracy.map { percent($0.value) } ?? "–" }
                            HTML.element("td") { task.headOnly.accuracy.map { percent($0.value) } ?? "–" }
                            HTML.element("td") { NumberText.count(masks.count) }
                        }
                    }
                }
            }
        }
    }
}
