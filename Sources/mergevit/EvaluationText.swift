import Labelling

/// What `evaluate` says on stdout.
enum EvaluationText {
    /// The tasks of an evaluation, a line each, numbers in percent but for the log loss.
    static func table(_ evaluation: Evaluation) -> String {
        var rows = [
            ["task", "images", "top-1", "95 % interval", "top-5", "macro F1", "balanced", "calibration", "log loss"]
        ]
        for evaluated in evaluation.tasks {
            let (task, metrics) = (evaluated.task, evaluated.metrics)
            rows.append(
                [task.name, "\(metrics?.images ?? 0)", percent(metrics?.top1.value), range(metrics?.top1)]
                    + [
                        task.classes.count > 5 ? metrics?.top5?.value : nil, metrics?.macroF1.value,
                        metrics?.balancedAccuracy.value, metrics?.calibrationError?.value,
                    ].map(percent) + [metrics?.logLoss.map { NumberText.fixed($0.value, 3) } ?? "-"])
        }
        var text = TextTable.aligned(rows, left: [0])
        if evaluation.tasks.count > 1, let mean = evaluation.meanAccuracy { text += "mean top-1: \(percent(mean))\n" }
        return text
    }

    /// The tasks of a comparison, a line each.
    static func table(_ comparison: Comparison) -> String {
        var rows = [["task", "images", "A", "B", "gain of B", "95 % interval", "only A", "only B", "p", "test"]]
        for compared in comparison.tasks {
            let test = compared.test
            rows.append([
                compared.task.name, "\(compared.images)", percent(compared.metrics[0]?.top1.value),
                percent(compared.metrics[1]?.top1.value), percent(compared.gain?.value), range(compared.gain),
                "\(test.onlyFirst)", "\(test.onlySecond)",
                test.pValue < 0.0001 ? "<0.0001" : NumberText.fixed(test.pValue, 4), test.form.rawValue,
            ])
        }
        return TextTable.aligned(rows, left: [0, 9])
    }

    /// Why a task is not accurate enough.
    static func shortfall(_ evaluated: TaskEvaluation) -> String {
        let minimum = evaluated.minimumAccuracy ?? 0
        guard let found = evaluated.metrics?.top1.value else {
            return "\(evaluated.task.name): no image was answered, --min-accuracy is \(minimum)"
        }
        return "\(evaluated.task.name): top-1 accuracy \(NumberText.fixed(found, 4)) is below --min-accuracy \(minimum)"
    }

    private static func percent(_ value: Double?) -> String {
        value.map { ascii(NumberText.fixed(100 * $0, 1)) } ?? "-"
    }

    private static func range(_ estimate: Estimate?) -> String {
        guard let interval = estimate?.interval else { return "-" }
        return "\(percent(interval.low)) to \(percent(interval.high))"
    }

    /// With a plain minus sign, so that programs read the number too.
    private static func ascii(_ text: String) -> String { text.replacing("\u{2212}", with: "-") }
}
