public import Tensors

/// One task's images, answers and metrics.
public struct TaskEvaluation: Sendable {
    /// The images and classes.
    public let task: EvaluationTask
    /// What was answered.
    public let answers: TaskAnswers
    /// How well; nil when not one image was answered.
    public let metrics: TaskMetrics?
    /// The least accuracy that is asked for, if any.
    public let minimumAccuracy: Double?

    /// Measures the answers of a task.
    public init(
        _ task: EvaluationTask, _ answers: TaskAnswers, minimumAccuracy: Double? = nil,
        bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        self.task = task
        self.answers = answers
        self.minimumAccuracy = minimumAccuracy
        metrics = TaskMetrics(
            task: task.name, classes: task.classes.count, answers: answers.known, ranksKnown: answers.ranksKnown,
            bootstrap: bootstrap)
    }

    /// Whether the accuracy is at least what is asked for.
    public var isAccurateEnough: Bool { minimumAccuracy.map { (metrics?.top1.value ?? 0) >= $0 } ?? true }
}

/// What was measured, of which model, and how: all that a report says.
public struct Evaluation: Sendable {
    /// The tasks in the order in which they were asked for.
    public let tasks: [TaskEvaluation]
    /// How the intervals of means were computed.
    public let bootstrap: BootstrapOptions
    /// The command's version.
    public let version: String
    /// What answered: paths, hashes, recipe.
    public let model: JSON

    /// The version of the format of `metrics.json`.
    public static let formatVersion = 1
    /// What `metrics.json` says that it is.
    public static let format = "mergevit-evaluation"

    /// An evaluation from its parts.
    public init(tasks: [TaskEvaluation], bootstrap: BootstrapOptions, version: String, model: JSON) {
        self.tasks = tasks
        self.bootstrap = bootstrap
        self.version = version
        self.model = model
    }

    /// How many images have no answer.
    public var failures: Int { tasks.reduce(0) { $0 + $1.answers.failures.count } }

    /// The mean accuracy of the tasks that have one, each counting the same; nil without any.
    public var meanAccuracy: Double? {
        let values = tasks.compactMap { $0.metrics?.top1.value }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}

extension Evaluation {
    /// `metrics.json`. It tells nothing of when and how fast it was made: the same images and model give the same bytes.
    public var json: JSON {
        .object([
            "format": .string(Self.format), "format_version": .int(Self.formatVersion), "version": .string(version),
            "settings": .object([
                "confidence": .double(ConfidenceInterval.level), "bootstrap_resamples": .int(bootstrap.resamples),
                "bootstrap_seed": .number(String(bootstrap.seed)), "calibration_bins": .int(Calibration.defaultBins),
            ]),
            "mean_top1": meanAccuracy.map(JSON.double) ?? .null,
            "images": .int(tasks.reduce(0) { $0 + $1.task.items.count }), "failed": .int(failures),
            "tasks": .array(tasks.map(\.json)), "model": model,
        ])
    }
}

extension TaskEvaluation {
    /// The metrics of the task as a whole, by name, in the order in which they are written.
    var estimates: [(name: String, estimate: Estimate?)] {
        [
            ("top1", metrics?.top1), ("top5", metrics?.top5), ("macro_f1", metrics?.macroF1),
            ("balanced_accuracy", metrics?.balancedAccuracy),
            ("expected_calibration_error", metrics?.calibrationError), ("log_loss", metrics?.logLoss),
        ]
    }

    fileprivate var json: JSON {
        var object: JSONObject = [
            "name": .string(task.name), "data": .string(task.source.description),
            "images": .int(task.items.count), "answered": .int(metrics?.images ?? 0),
            "failed": .int(answers.failures.count), "classes": .int(task.classes.count),
            "classes_without_images": .array(task.classesWithoutImages.map(JSON.string)),
            "unknown_images": .int(task.unknownImages),
            "unknown_classes": .object(
                task.unknown.reduce(into: JSONObject()) { $0[$1.name] = .int($1.images) }),
        ]
        for (name, estimate) in estimates { object[name] = estimate.map(\.json) ?? .null }
        object["minimum_accuracy"] = minimumAccuracy.map(JSON.double) ?? .null
        object["is_accurate_enough"] = .bool(isAccurateEnough)
        object["missing"] = .array(answers.missing.map(JSON.string))
        if let metrics {
            object["per_class"] = .array(zip(task.classes, metrics.perClass).map { $1.json($0) })
            object["confusion_matrix"] = .object([
                "classes": .array(task.classes.map(JSON.string)),
                "rows_true_columns_predicted": .array(
                    (0..<metrics.confusion.classes).map { .array(metrics.confusion.row($0).map(JSON.int)) }),
            ])
            object["calibration"] = .array(metrics.calibration.json)
        }
        object["failures"] = .array(
            answers.failures.map { .object(["path": .string($0.path.description), "reason": .string($0.reason)]) })
        return .object(object)
    }
}

extension Estimate {
    var json: JSON {
        .object([
            "value": .double(value), "low": interval.map { .double($0.low) } ?? .null,
            "high": interval.map { .double($0.high) } ?? .null,
        ])
    }
}

extension TaskMetrics.PerClass {
    fileprivate func json(_ name: String) -> JSON {
        .object([
            "class": .string(name), "support": .int(support), "predicted": .int(predicted), "hits": .int(hits),
            "precision": precision.map(\.json) ?? .null, "recall": recall.map(\.json) ?? .null,
            "f1": f1.map(JSON.double) ?? .null,
        ])
    }
}

extension Calibration {
    fileprivate var json: [JSON] {
        bins.enumerated().map { index, bin in
            .object([
                "above": .double(range(index).lowerBound), "to": .double(range(index).upperBound),
                "answers": .int(bin.count), "confidence": bin.confidence.map(JSON.double) ?? .null,
                "accuracy": bin.accuracy.map(JSON.double) ?? .null,
            ])
        }
    }
}
