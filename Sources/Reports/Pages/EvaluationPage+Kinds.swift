package import Evaluation

extension EvaluationPage {
    /// The tasks whose images show several labels.
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

    /// The tasks whose images show values.
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

    package func percent(_ value: Double) -> String { NumberText.fixed(100 * value, 1) }

    /// A task's name, and whether it is as good as was asked for.
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
    package func cell(_ estimate: Estimate?, _ text: (Double) -> String) -> HTML {
        .element("td") {
            estimate.map { text($0.value) } ?? "–"
            if let interval = estimate?.interval {
                HTML.element("small") { "\(text(interval.low))–\(text(interval.high))" }
            }
        }
    }

    /// How many images there are, and how many of them have no answer.
    package func counts(_ evaluated: TaskEvaluation) -> HTML {
        HTMLBuilder.buildBlock(
            .element("td") { NumberText.count(evaluated.task.items.count) },
            .element("td") { NumberText.count(evaluated.answers.failures.count) })
    }
}
