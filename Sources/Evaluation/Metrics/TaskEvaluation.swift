package import Files
import Tensors
import VisionTransformers

/// One task's images, predictions and metrics.
package struct TaskEvaluation: Sendable {
    /// The images and classes.
    package let task: EvaluationTask
    /// The predictions.
    package let predictions: TaskPredictions
    /// The metrics; nil when there is no prediction.
    package let result: Result?
    /// The required accuracy, or where images show several labels the required mean average precision; nil for none.
    package let minimum: Double?

    /// The metrics by what images show.
    package enum Result: Sendable, Equatable {
        case classes(TaskMetrics)
        case labels(MultiLabelMetrics)
        case values(RegressionMetrics)
    }

    /// How well the task's fit tells its images from others; nil without one.
    package let fit: FitMetrics?

    /// Computes a task's metrics.
    ///
    /// - Parameter minimum: the required accuracy, or where images show several labels the required mean average
    ///   precision.
    package init(
        _ task: EvaluationTask, _ predictions: TaskPredictions, minimum: Double? = nil,
        bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        self.task = task
        self.predictions = predictions
        self.minimum = minimum
        let fitted = predictions.fits.indices.filter { predictions.fits[$0] != nil }
        let isClass = !predictions.classes.isEmpty
        fit = FitMetrics(
            fitted.compactMap { predictions.fits[$0] },
            areRight: isClass ? fitted.map { predictions.classes[$0].map(\.isRight) ?? false } : nil,
            others: predictions.fitsOfOthers)
        let (name, classes) = (task.name, task.classes.count)
        result =
            switch task.truths {
            case .classes:
                TaskMetrics(
                    task: name, classes: classes, predictions: predictions.known, ranksKnown: predictions.ranksKnown,
                    bootstrap: bootstrap
                ).map(Result.classes)
            case .labels:
                MultiLabelMetrics(
                    task: name, classes: classes, predictions: predictions.labels.compactMap(\.self),
                    bootstrap: bootstrap
                ).map(Result.labels)
            case .values:
                RegressionMetrics(
                    task: name, outputs: classes, predictions: predictions.values.compactMap(\.self),
                    bootstrap: bootstrap
                ).map(Result.values)
            }
    }

    /// The metrics where each image shows one class, else nil.
    package var metrics: TaskMetrics? { if case .classes(let metrics) = result { metrics } else { nil } }

    /// The number of images with a prediction.
    package var images: Int {
        switch result {
        case nil: 0
        case .classes(let metrics): metrics.images
        case .labels(let metrics): metrics.images
        case .values(let metrics): metrics.images
        }
    }

    /// The number that `minimum` applies to: accuracy or mean average precision; nil when unknown.
    package var score: Double? {
        switch result {
        case .classes(let metrics): metrics.top1.value
        case .labels(let metrics): metrics.meanAveragePrecision?.value
        case .values, nil: nil
        }
    }

    /// Whether `score` reaches `minimum`; true without a minimum.
    package var isGoodEnough: Bool { minimum.map { (score ?? 0) >= $0 } ?? true }
}

extension TaskEvaluation {
    /// The metrics of the whole task by name, in the order of the output files.
    package var estimates: [(name: String, estimate: Estimate?)] {
        switch task.truths {
        case .classes:
            return [
                ("top1", metrics?.top1), ("top5", metrics?.top5), ("macro_f1", metrics?.macroF1),
                ("balanced_accuracy", metrics?.balancedAccuracy),
                ("expected_calibration_error", metrics?.calibrationError), ("log_loss", metrics?.logLoss),
            ]
        case .labels:
            var metrics: MultiLabelMetrics?
            if case .labels(let found) = result { metrics = found }
            return [
                ("map", metrics?.meanAveragePrecision), ("micro_f1", metrics?.microF1), ("macro_f1", metrics?.macroF1),
                ("micro_precision", metrics?.microPrecision), ("micro_recall", metrics?.microRecall),
                ("exact_match", metrics?.exactMatch),
            ]
        case .values:
            guard case .values(let found) = result else { return [("mae", nil), ("rmse", nil), ("r2", nil)] }
            return found.mean.estimates
        }
    }

    var json: JSON {
        var object: JSONObject = [
            "name": .string(task.name), "data": .string(task.source.description),
            "images": .int(task.items.count), "answered": .int(images),
            "failed": .int(predictions.failures.count),
        ]
        if task.activation != .softmax { object["activation"] = .string(task.activation.rawValue) }
        if task.activation == .identity {
            object["outputs"] = .int(task.classes.count)
        } else {
            object["classes"] = .int(task.classes.count)
            object["classes_without_images"] = .array(task.classesWithoutImages.map(JSON.string))
            object["unknown_images"] = .int(task.unknownImages)
            object["unknown_classes"] = .object(
                task.unknown.reduce(into: JSONObject()) { $0[$1.name] = .int($1.images) })
        }
        if task.activation == .sigmoid { object["threshold"] = predictions.threshold.map(JSON.double) ?? .null }
        for (name, estimate) in estimates { object[name] = estimate.map(\.json) ?? .null }
        switch task.activation {
        case .softmax:
            object["minimum_accuracy"] = minimum.map(JSON.double) ?? .null
            object["is_accurate_enough"] = .bool(isGoodEnough)
        case .sigmoid:
            object["minimum_map"] = minimum.map(JSON.double) ?? .null
            object["is_good_enough"] = .bool(isGoodEnough)
        case .identity: break
        }
        if let fit { object["fit"] = fit.json }
        object["missing"] = .array(predictions.missing.map(JSON.string))
        switch result {
        case nil: break
        case .labels(let metrics):
            object["per_class"] = .array(zip(task.classes, metrics.perClass).map { $1.json($0, isLabel: true) })
        case .values(let metrics):
            object["per_output"] = .array(
                zip(task.classes, metrics.perOutput).map { name, errors in
                    var output: JSONObject = ["output": .string(name)]
                    for (key, estimate) in errors.estimates { output[key] = estimate.map(\.json) ?? .null }
                    return .object(output)
                })
        case .classes(let metrics):
            object["per_class"] = .array(zip(task.classes, metrics.perClass).map { $1.json($0, isLabel: false) })
            object["confusion_matrix"] = .object([
                "classes": .array(task.classes.map(JSON.string)),
                "rows_true_columns_predicted": .array(
                    (0..<metrics.confusion.classes).map { .array(metrics.confusion.row($0).map(JSON.int)) }),
            ])
            object["calibration"] = .array(metrics.calibration.json)
        }
        object["failures"] = .array(
            predictions.failures.map { .object(["path": .string($0.path.description), "reason": .string($0.reason)]) })
        return .object(object)
    }
}

extension Estimate {
    /// `value`, `low` and `high`, as `metrics.json` holds them.
    package var json: JSON {
        .object([
            "value": .double(value), "low": interval.map { .double($0.low) } ?? .null,
            "high": interval.map { .double($0.high) } ?? .null,
        ])
    }
}

extension ClassMetrics {
    fileprivate func json(_ name: String, isLabel: Bool) -> JSON {
        var object: JSONObject = [
            "class": .string(name), "support": .int(support), "predicted": .int(predicted), "hits": .int(hits),
        ]
        if isLabel { object["average_precision"] = averagePrecision.map(JSON.double) ?? .null }
        object["precision"] = precision.map(\.json) ?? .null
        object["recall"] = recall.map(\.json) ?? .null
        object["f1"] = f1.map(JSON.double) ?? .null
        return .object(object)
    }
}

extension RegressionMetrics.Errors {
    /// The errors by name, in the order of the output files.
    package var estimates: [(name: String, estimate: Estimate?)] { [("mae", mae), ("rmse", rmse), ("r2", r2)] }
}

extension ConfidenceCalibration {
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
