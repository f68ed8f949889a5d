package import Evaluation
import Files

/// The page of a study: interference in pairs, similarity of tasks, merges compared with heads alone, methods over the
/// number of tasks, and all numbers.
package struct StudyPage {
    let study: Study
    private let command: String
    private let bootstrap: BootstrapOptions
    let means: StudyMeans

    /// A page about a study.
    ///
    /// - Parameters:
    ///   - command: the command line that made it.
    ///   - bootstrap: how the intervals of means are computed.
    package init(_ study: Study, command: String, bootstrap: BootstrapOptions = BootstrapOptions()) {
        (self.study, self.command, self.bootstrap) = (study, command, bootstrap)
        means = StudyMeans(study, bootstrap)
    }

    /// The charts of the page as standalone SVG files, by name without extension.
    package var charts: [(name: String, text: String)] {
        var charts: [(name: String, text: String)] = []
        for (index, variant) in study.variants.enumerated() where hasPairs(variant) {
            charts.append(("pairs-\(index + 1)", Drawing.file(pairs(variant).drawn())))
        }
        for measure in SimilarityMeasure.allCases {
            if let chart = scatter(measure) {
                charts.append(("alike-\(measure.rawValue)", Drawing.file(chart.drawn())))
            }
        }
        if let chart = overSizes { charts.append(("sizes", Drawing.file(chart.drawn()))) }
        if let chart = besideHeads { charts.append(("heads", Drawing.file(chart.drawn()))) }
        return charts
    }

    /// The page as one HTML file.
    package var text: String {
        let sections = [
            ("summary", "Summary"), ("pairs", "Who hurts whom"), ("alike", "Alike and unlike tasks"),
            ("heads", "Merged against heads alone"), ("sizes", "Number of tasks"), ("all", "All merges"),
            ("provenance", "Provenance"),
        ]
        return ReportPage.text(title: "Study: \(study.tasks.map(\.name).joined(separator: ", "))") {
            HTML.element("header") {
                HTML.element("h1") { "Study of merging" }
                HTML.element("p", ["class": "lede"]) { subtitle }
                ReportPage.navigation(sections.map { (identifier: $0.0, title: $0.1) })
            }
            ReportPage.section("summary", "Summary", isFirst: true) {
                summary
                HTML.element("h3") { "Each task alone" }
                yardsticks
            }
            ReportPage.section("pairs", "Who hurts whom") { pairFigures }
            ReportPage.section("alike", "Alike and unlike tasks") { similarity }
            ReportPage.section("heads", "Merged against heads alone") { heads }
            ReportPage.section("sizes", "Number of tasks") { sizes }
            ReportPage.section("all", "All merges") { allMerges }
            provenance
        }
    }

    private var subtitle: String {
        let images = study.tasks.reduce(0) { $0 + $1.images }
        let merges = Set(study.results.map(\.tasks)).count
        return "\(NumberText.count(study.tasks.count, "task")), \(NumberText.count(images, "image")) measured on, "
            + "\(NumberText.count(merges, "set")) of tasks merged in \(NumberText.count(study.variants.count, "way")). "
            + "Nothing was chosen by these images."
    }

    /// A note on the intervals.
    private var intervals: String {
        let samples = NumberText.count(bootstrap.resamples)
        let means =
            bootstrap.resamples > 0
            ? "from \(samples) bootstrap samples of the images (seed \(bootstrap.seed))" : "none"
        return """
            Small: 95 % intervals. Of accuracies Wilson's; of differences and ratios on the same images Bonett and \
            Price's; of means \(means): they tell of other images of the same tasks, not of other tasks.
            """
    }

    private var summary: HTML {
        HTMLBuilder.buildBlock(
            ReportPage.table(
                "overview",
                columns: [
                    "method", "tasks", "merges", "same label, %", "KL, nats", "kept, %", "least kept, %",
                    "over heads alone, points",
                ],
                text: [0]
            ) {
                for (variant, size) in cases {
                    let predictions = study.masks(variant, size: size)
                    let worst = predictions.compactMap { prediction in
                        prediction.masks.ratio(to: prediction.task.single).map { ($0.value, prediction.task.name) }
                    }.min { $0.0 < $1.0 }
                    HTML.element("tr") {
                        HTML.element("th", ["scope": "row", "class": "text"]) { variant }
                        HTML.element("td") { NumberText.count(size) }
                        HTML.element("td") { NumberText.count(study.results(variant, size: size).count) }
                        cell(means.same(variant, size: size))
                        HTML.element("td") {
                            means.divergence(variant, size: size).map { NumberText.fixed($0, 3) } ?? "–"
                        }
                        cell(means.normalised(variant, size: size))
                        HTML.element("td") {
                            worst.map { percent($0.0) } ?? "–"
                            if let worst { HTML.element("small") { worst.1 } }
                        }
                        cell(means.overHeads(variant, size: size))
                    }
                }
            },
            .element("p", ["class": "muted"]) {
                """
                Same label: images with the label of the task's own adapter. KL: the divergence of its predictions \
                from the merge's. Kept: merged accuracy as a share of that of the task's own adapter. All are means \
                over every task of every merge. \(headsKept)\(intervals)
                """
            })
    }

    private var headsKept: String {
        guard let kept = means.headOnly else { return "" }
        return "Heads alone, over the base as it is, have \(NumberText.percent(kept.value)) of it. "
    }

    private var yardsticks: HTML {
        ReportPage.table(
            columns: [
                "task", "own adapter, %", "head alone, %", "adapter gains, points", "classes", "images", "measured on",
            ],
            text: [0, 6]
        ) {
            for task in study.tasks {
                HTML.element("tr") {
                    HTML.element("th", ["scope": "row", "class": "text"]) { task.name }
                    cell(task.single.accuracy)
                    cell(task.headOnly.accuracy)
                    cell(task.single.gain(over: task.headOnly))
                    HTML.element("td") { NumberText.count(task.classes) }
                    HTML.element("td") { NumberText.count(task.images) }
                    HTML.element("td", ["class": "text"]) { task.split }
                }
            }
        }
    }

    private var provenance: HTML {
        ReportPage.section("provenance", "Provenance") {
            HTML.element("h3") { "Command" }
            HTML.element("pre") { command }
            for (title, fact) in study.provenance.objectValue?.members ?? [] {
                HTML.element("h3") { title }
                ReportPage.tree(fact)
            }
            HTML.element("p", ["class": "muted"]) { "mergevit \(study.version)" }
        }
    }

    // MARK: Parts of all sections

    /// Every variant with every number of tasks that it merged.
    var cases: [(variant: String, size: Int)] {
        study.variants.flatMap { variant in
            study.sizes.filter { !study.results(variant, size: $0).isEmpty }.map { (variant, $0) }
        }
    }

    func hasPairs(_ variant: String) -> Bool { !study.results(variant, size: 2).isEmpty }

    func percent(_ value: Double) -> String { NumberText.fixed(100 * value, 1) }

    /// A number in percent with its interval.
    func cell(_ estimate: Estimate?) -> HTML {
        .element("td") {
            estimate.map { percent($0.value) } ?? "–"
            if let interval = estimate?.interval { HTML.element("small") { NumberText.range(interval, percent) } }
        }
    }
}
