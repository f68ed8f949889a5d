import Evaluation
import Reports
import VisionTransformers

/// What `evaluate` says on stdout.
enum EvaluationText {
    /// The tasks of an evaluation, a line each, in a table for each kind of task.
    static func table(_ evaluation: EvaluationResult) -> String {
        let tables = [
            (HeadActivation.softmax, classTable), (.sigmoid, labelTable), (.identity, valueTable),
        ].compactMap { activation, table in
            let tasks = evaluation.tasks.filter { $0.task.activation == activation }
            return tasks.isEmpty ? nil : table(tasks)
        }
        var text = (tables + [fitTable(evaluation.tasks)].compactMap(\.self)).joined(separator: "\n")
        if evaluation.tasks.count(where: { $0.metrics != nil }) > 1, let mean = evaluation.meanAccuracy {
            text += "mean top-1: \(percent(mean))\n"
        }
        if let own = evaluation.own { text += "\n" + table(own) }
        return text
    }

    /// What merging costs, a line for each task.
    private static func table(_ own: OwnComparison) -> String {
        var rows = [
            ["task", "images", "own", "merged", "kept", "difference", "95 % interval", "only own", "only merged", "p"]
        ]
        for compared in own.tasks {
            let test = compared.test
            rows.append([
                compared.task.name, "\(compared.images)", percent(compared.metrics[0]?.top1.value),
                percent(compared.metrics[1]?.top1.value), percent(compared.kept), percent(compared.gain?.value),
                range(compared.gain), "\(test.onlyFirst)", "\(test.onlySecond)", pValue(test),
            ])
        }
        let mean = own.meanKept.map { "mean kept: \(percent($0))\n" } ?? ""
        return TextTable.aligned(rows, left: [0]) + (own.tasks.count > 1 ? mean : "")
    }

    private static func pValue(_ test: McNemar) -> String {
        test.pValue < 0.0001 ? "<0.0001" : NumberText.plain(test.pValue, 4)
    }

    /// Tasks whose images show one class, numbers in percent but for the log loss.
    private static func classTable(_ tasks: [TaskEvaluation]) -> String {
        var rows = [
            ["task", "images", "top-1", "95 % interval", "top-5", "macro F1", "balanced", "calibration", "log loss"]
        ]
        for evaluated in tasks {
            let (task, metrics) = (evaluated.task, evaluated.metrics)
            rows.append(
                [task.name, "\(metrics?.images ?? 0)", percent(metrics?.top1.value), range(metrics?.top1)]
                    + [
                        task.classes.count > 5 ? metrics?.top5?.value : nil, metrics?.macroF1.value,
                        metrics?.balancedAccuracy.value, metrics?.calibrationError?.value,
                    ].map(percent) + [metrics?.logLoss.map { NumberText.plain($0.value, 3) } ?? "-"])
        }
        return TextTable.aligned(rows, left: [0])
    }

    /// How well fits tell a task's images from those of the others, in percent but for AUROC; nil without fits.
    private static func fitTable(_ tasks: [TaskEvaluation]) -> String? {
        let fits = tasks.compactMap { evaluated in evaluated.fit.map { (evaluated.task.name, $0) } }
        guard !fits.isEmpty else { return nil }
        var rows = [["fit", "images", "others", "AUROC", "kept", "others kept", "top-1 of kept"]]
        for (name, fit) in fits {
            rows.append([
                name, "\(fit.images)", "\(fit.others)", fit.auroc.map { NumberText.plain($0, 3) } ?? "-",
                percent(fit.coverage), percent(fit.othersKept), percent(fit.accuracyKept),
            ])
        }
        return TextTable.aligned(rows, left: [0])
    }

    /// Tasks whose images show several labels, numbers in percent.
    private static func labelTable(_ tasks: [TaskEvaluation]) -> String {
        var rows = [
            ["task", "images", "mAP", "95 % interval", "micro F1", "macro F1", "precision", "recall", "exact match"]
        ]
        for evaluated in tasks {
            let estimates = evaluated.estimates.map(\.estimate)
            rows.append(
                [evaluated.task.name, "\(evaluated.images)", percent(estimates[0]?.value), range(estimates[0])]
                    + estimates.dropFirst().map { percent($0?.value) })
        }
        return TextTable.aligned(rows, left: [0])
    }

    /// The outputs of tasks whose images show values, a line each.
    private static func valueTable(_ tasks: [TaskEvaluation]) -> String {
        var rows = [["task", "output", "images", "MAE", "95 % interval", "RMSE", "R2"]]
        for evaluated in tasks {
            var errors: [RegressionMetrics.Errors?] = evaluated.task.classes.map { _ in nil }
            if case .values(let metrics) = evaluated.result { errors = metrics.perOutput }
            for (output, errors) in zip(evaluated.task.classes, errors) {
                let interval = errors?.mae.interval.map { "\(number($0.low)) to \(number($0.high))" }
                rows.append(
                    [evaluated.task.name, output, "\(evaluated.images)", number(errors?.mae.value), interval ?? "-"]
                        + [errors?.rmse.value, errors?.r2?.value].map(number))
            }
        }
        return TextTable.aligned(rows, left: [0, 1])
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
                pValue(test), test.form.rawValue,
            ])
        }
        return TextTable.aligned(rows, left: [0, 9])
    }

    /// Why a task is not good enough.
    static func shortfall(_ evaluated: TaskEvaluation) -> String {
        let (name, minimum) = (evaluated.task.name, evaluated.minimum ?? 0)
        let isMultiLabel = evaluated.task.activation == .sigmoid
        let option = isMultiLabel ? "--min-map" : "--min-accuracy"
        guard evaluated.images > 0 else { return "\(name): no image was answered, \(option) is \(minimum)" }
        let metric = isMultiLabel ? "mean average precision" : "top-1 accuracy"
        guard let found = evaluated.score else { return "\(name): \(metric) is not known, \(option) is \(minimum)" }
        return "\(name): \(metric) \(NumberText.plain(found, 4)) is below \(option) \(minimum)"
    }

    private static func number(_ value: Double?) -> String {
        value.map { NumberText.plainSignificant($0) } ?? "-"
    }

    private static func percent(_ value: Double?) -> String {
        value.map { NumberText.plain(100 * $0, 1) } ?? "-"
    }

    private static func range(_ estimate: Estimate?) -> String {
        guard let interval = estimate?.interval else { return "-" }
        return "\(percent(interval.low)) to \(percent(interval.high))"
    }
}
