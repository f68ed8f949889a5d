package import Files
import Tensors

/// Two models on the images of one task.
package struct TaskComparison: Sendable {
    /// The images and classes, which both models share.
    package let task: EvaluationTask
    /// The predictions of the first and of the second model.
    package let predictions: [TaskPredictions]
    /// The metrics of each model over the images that both labelled; nil when there are none.
    package let metrics: [TaskMetrics?]
    /// The number of images that both labelled.
    package let images: Int
    /// Images on which both are right.
    package let bothRight: Int
    /// Images on which both are wrong.
    package let bothWrong: Int
    /// Images for which they predict different classes.
    package let disagreements: Int
    /// Whether they are right equally often.
    package let test: McNemar

    /// Compares the predictions of two models.
    ///
    /// - Parameters:
    ///   - first: the predictions of the first model for the items of the task.
    ///   - second: the predictions of the second model.
    package init(
        _ task: EvaluationTask, _ first: TaskPredictions, _ second: TaskPredictions,
        bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        var (bothRight, bothWrong, onlyFirst, onlySecond, disagreements) = (0, 0, 0, 0, 0)
        var known: [[Prediction]] = [[], []]
        for case (let a?, let b?) in zip(first.classes, second.classes) {
            switch (a.isRight, b.isRight) {
            case (true, true): bothRight += 1
            case (true, false): onlyFirst += 1
            case (false, true): onlySecond += 1
            case (false, false): bothWrong += 1
            }
            if a.predicted != b.predicted { disagreements += 1 }
            known[0].append(a)
            known[1].append(b)
        }
        self.task = task
        predictions = [first, second]
        metrics = known.map {
            TaskMetrics(task: task.name, classes: task.classes.count, predictions: $0, bootstrap: bootstrap)
        }
        images = known[0].count
        self.bothRight = bothRight
        self.bothWrong = bothWrong
        self.disagreements = disagreements
        test = McNemar(onlyFirst: onlyFirst, onlySecond: onlySecond)
    }

    /// The accuracy of the second minus that of the first.
    package var gain: Estimate? {
        McNemar(onlyFirst: test.onlySecond, onlySecond: test.onlyFirst).difference(of: images)
    }

    /// The indices of the images for which the two predict different classes.
    package var differing: [Int] {
        task.items.indices.filter {
            guard let a = predictions[0].classes[$0], let b = predictions[1].classes[$0] else { return false }
            return a.predicted != b.predicted
        }
    }
}

/// Two models on the same images: the content of a comparison report.
package struct Comparison: Sendable {
    /// The tasks in the requested order.
    package let tasks: [TaskComparison]
    /// The names of the two models.
    package let names: [String]
    /// A description of each model: paths, hashes, recipe.
    package let models: [JSON]
    /// How the intervals of means were computed.
    package let bootstrap: BootstrapOptions
    /// The command's version.
    package let version: String

    /// The `format` value of `metrics.json`.
    package static let format = "mergevit-comparison"

    package init(
        tasks: [TaskComparison], names: [String], models: [JSON], bootstrap: BootstrapOptions, version: String
    ) {
        self.tasks = tasks
        self.names = names
        self.models = models
        self.bootstrap = bootstrap
        self.version = version
    }

    /// The number of images that at least one of the two could not label.
    package var failures: Int { tasks.reduce(0) { $0 + $1.task.items.count - $1.images } }

    /// `metrics.json`.
    package var json: JSON {
        .object([
            "format": .string(Self.format), "format_version": .int(EvaluationResult.formatVersion),
            "version": .string(version),
            "settings": .object([
                "confidence": .double(ConfidenceInterval.level), "bootstrap_resamples": .int(bootstrap.resamples),
                "bootstrap_seed": .number(String(bootstrap.seed)),
            ]),
            "tasks": .array(tasks.map(\.json)),
            "models": .array(
                zip(names, models).map { .object(["name": .string($0), "model": $1]) }),
        ])
    }

    /// `disagreements.csv`: one row for each image for which the two predict different classes.
    package var disagreements: [UInt8] {
        var rows = TextRows(
            ["path", "task", "true_label", "label_a", "score_a", "label_b", "score_b", "right"])
        for compared in tasks {
            let task = compared.task
            for index in compared.differing {
                guard let a = compared.predictions[0].classes[index], let b = compared.predictions[1].classes[index]
                else {
                    continue
                }
                func score(_ prediction: Prediction) -> String {
                    var bytes: [UInt8] = []
                    if let confidence = prediction.confidence { ScoreFormatter.append(confidence, to: &bytes) }
                    return String(decoding: bytes, as: UTF8.self)
                }
                rows.append(
                    path: task.items[index].path,
                    [
                        task.name, task.classes[a.truth], task.classes[a.predicted], score(a),
                        task.classes[b.predicted], score(b), a.isRight ? "a" : b.isRight ? "b" : "neither",
                    ])
            }
        }
        return rows.bytes
    }

    /// `metrics.csv`: `task,metric,a,b`, one row per number.
    package var csv: [UInt8] {
        var rows = TextRows(["task", "metric", "a", "b"])
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        for compared in tasks {
            let name = compared.task.name
            let metrics = compared.metrics
            for (metric, value) in [
                ("top1", \TaskMetrics.top1), ("macro_f1", \.macroF1), ("balanced_accuracy", \.balancedAccuracy),
            ] as [(String, KeyPath<TaskMetrics, Estimate>)] {
                rows.append([name, metric] + metrics.map { text($0?[keyPath: value].value) })
            }
            rows.append([name, "expected_calibration_error"] + metrics.map { text($0?.calibrationError?.value) })
            rows.append([name, "log_loss"] + metrics.map { text($0?.logLoss?.value) })
            rows.append([name, "only_this_right", "\(compared.test.onlyFirst)", "\(compared.test.onlySecond)"])
        }
        return rows.bytes
    }
}

extension TaskComparison {
    fileprivate var json: JSON {
        func side(_ index: Int) -> JSON {
            .object([
                "top1": metrics[index].map(\.top1.json) ?? .null,
                "macro_f1": metrics[index].map(\.macroF1.json) ?? .null,
                "balanced_accuracy": metrics[index].map(\.balancedAccuracy.json) ?? .null,
                "expected_calibration_error": metrics[index]?.calibrationError?.json ?? .null,
                "log_loss": metrics[index]?.logLoss?.json ?? .null, "failed": .int(predictions[index].failures.count),
            ])
        }
        return .object([
            "name": .string(task.name), "data": .string(task.source.description), "images": .int(images),
            "a": side(0), "b": side(1), "both_right": .int(bothRight), "only_a_right": .int(test.onlyFirst),
            "only_b_right": .int(test.onlySecond), "both_wrong": .int(bothWrong),
            "different_labels": .int(disagreements), "gain_of_b": gain.map(\.json) ?? .null,
            "mcnemar": test.json,
        ])
    }
}

extension McNemar {
    /// The test as `metrics.json` has it.
    var json: JSON {
        .object([
            "test": .string(form.rawValue), "statistic": statistic.map(JSON.double) ?? .null,
            "p_value": .double(pValue),
        ])
    }
}
