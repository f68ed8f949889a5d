import Files
import Tensors

/// Metrics of a classification task, computed from true and predicted classes.
///
/// Means over classes include those that have images: without any, recall and F1 are undefined.
package struct TaskMetrics: Sendable, Equatable {
    /// The number of images with a prediction; at least one.
    package let images: Int
    /// The share of images whose highest-scored class is correct, with Wilson's interval.
    package let top1: Estimate
    /// The share of images with the true class among the five highest-scored; nil when fewer are known. It is 1 for any
    /// model with five classes or fewer.
    package let top5: Estimate?
    /// The mean F1 of the classes, with a bootstrap interval.
    package let macroF1: Estimate
    /// The mean recall of the classes, with a bootstrap interval.
    package let balancedAccuracy: Estimate
    /// The expected calibration error, with a bootstrap interval; nil when confidences are unknown.
    package let calibrationError: Estimate?
    /// The mean negative log probability of the true class, in nats, with a bootstrap interval; nil when the
    /// probabilities of all classes are unknown.
    package let logLoss: Estimate?
    /// By class, in the head's order.
    package let perClass: [ClassMetrics]
    /// True by predicted classes.
    package let confusion: ConfusionMatrix
    /// The predictions by confidence.
    package let calibration: ConfidenceCalibration

    /// Computes a task's metrics.
    ///
    /// - Parameters:
    ///   - task: the task's name, which seeds its bootstrap samples.
    ///   - classes: the number of classes of the head.
    ///   - predictions: the predictions.
    ///   - ranksKnown: the number of best classes known for each image.
    ///   - bins: the number of calibration bins.
    /// - Returns: nil without predictions.
    package init?(
        task: String, classes: Int, predictions: [Prediction], ranksKnown: Int = .max,
        bins: Int = ConfidenceCalibration.defaultBins, bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        var sums = MetricSums(classes: classes, bins: bins)
        for prediction in predictions { sums.add(prediction) }
        guard let top1 = Estimate.proportion(predictions.count(where: \.isRight), of: predictions.count),
            let macroF1 = sums.counts.macroF1, let balancedAccuracy = sums.counts.balancedAccuracy
        else { return nil }
        let hasConfidence = predictions.allSatisfy { $0.confidence != nil }
        let hasLogLoss = predictions.allSatisfy { $0.logLoss != nil }
        let intervals = sums.intervals(of: predictions, task: task, bootstrap)
        images = predictions.count
        self.top1 = top1
        let inFive = classes <= 5 ? predictions.count : predictions.count { ($0.rank ?? .max) <= 5 }
        top5 = classes <= 5 || ranksKnown >= 5 ? .proportion(inFive, of: predictions.count) : nil
        self.macroF1 = Estimate(macroF1, intervals[0])
        self.balancedAccuracy = Estimate(balancedAccuracy, intervals[1])
        calibrationError = hasConfidence ? sums.calibration.expectedError.map { Estimate($0, intervals[2]) } : nil
        logLoss = hasLogLoss ? sums.meanLogLoss.map { Estimate($0, intervals[3]) } : nil
        perClass = (0..<classes).map { ClassMetrics(sums.counts, $0) }
        confusion = ConfusionMatrix(classes: classes, predictions: predictions)
        calibration = sums.calibration
    }
}

/// The sums behind the means, of all predictions or of one bootstrap sample.
private struct MetricSums {
    var counts: ClassCounts
    var calibration: ConfidenceCalibration
    private var logLoss = 0.0
    private var images = 0

    init(classes: Int, bins: Int) {
        counts = ClassCounts(classes: classes)
        calibration = ConfidenceCalibration(bins: bins)
    }

    mutating func add(_ prediction: Prediction) {
        counts.add(prediction)
        calibration.add(prediction)
        logLoss += prediction.logLoss ?? 0
        images += 1
    }

    var meanLogLoss: Double? { images == 0 ? nil : logLoss / Double(images) }

    private mutating func reset() {
        counts.reset()
        calibration.reset()
        (logLoss, images) = (0, 0)
    }

    /// Macro F1, balanced accuracy, calibration error and log loss.
    private var means: [Double?] {
        [counts.macroF1, counts.balancedAccuracy, calibration.expectedError, meanLogLoss]
    }

    /// The intervals of the four means.
    func intervals(of predictions: [Prediction], task: String, _ options: BootstrapOptions) -> [ConfidenceInterval?] {
        var bootstrap = Bootstrap(seed: options.seed, task: task)
        var sums = self
        var values = [[Double]](repeating: [], count: means.count)
        for sample in 0..<max(options.resamples, 0) {
            LongWork.note("resampling", sample, of: options.resamples)
            sums.reset()
            bootstrap.sample(predictions.count) { sums.add(predictions[$0]) }
            for (index, value) in sums.means.enumerated() { if let value { values[index].append(value) } }
        }
        let limits = [0...1, 0...1, 0...1, 0...Double.greatestFiniteMagnitude]
        return means.enumerated().map { index, mean in
            mean.flatMap { ConfidenceInterval.percentile(of: values[index], about: $0, within: limits[index]) }
        }
    }
}
