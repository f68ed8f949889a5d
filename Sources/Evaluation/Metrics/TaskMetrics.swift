import Files
import Tensors

/// How well one task was answered: pure numbers of true classes and answers.
///
/// Means over classes are over those that have images; a class without any has neither recall nor F1 to count.
package struct TaskMetrics: Sendable, Equatable {
    /// How many images were answered; at least one.
    package let images: Int
    /// The share of images whose best answer is right, with Wilson's interval.
    package let top1: Estimate
    /// The share of images with the true class among the five best answers; nil when fewer are known. With five classes
    /// or fewer it is 1 whatever the model.
    package let top5: Estimate?
    /// The mean F1 of the classes, with a bootstrap interval.
    package let macroF1: Estimate
    /// The mean recall of the classes, with a bootstrap interval.
    package let balancedAccuracy: Estimate
    /// The expected calibration error, with a bootstrap interval; nil when confidences are not known.
    package let calibrationError: Estimate?
    /// The mean negative logarithm of the true class's probability in nats, with a bootstrap interval; nil when the
    /// probabilities of all classes are not known.
    package let logLoss: Estimate?
    /// By class, in the head's order.
    package let perClass: [ClassMetrics]
    /// True classes by answers.
    package let confusion: ConfusionMatrix
    /// The answers by confidence.
    package let calibration: ConfidenceCalibration

    /// Measures the answers of a task.
    ///
    /// - Parameters:
    ///   - task: the task's name, from which its bootstrap samples are drawn.
    ///   - classes: how many classes the head has.
    ///   - answers: what was answered.
    ///   - ranksKnown: how many of the best answers are known for each image.
    ///   - bins: the number of calibration bins.
    /// - Returns: nil when there are no answers.
    package init?(
        task: String, classes: Int, answers: [Prediction], ranksKnown: Int = .max,
        bins: Int = ConfidenceCalibration.defaultBins, bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        var sums = MetricSums(classes: classes, bins: bins)
        for answer in answers { sums.add(answer) }
        guard let top1 = Estimate.proportion(answers.count(where: \.isRight), of: answers.count),
            let macroF1 = sums.counts.macroF1, let balancedAccuracy = sums.counts.balancedAccuracy
        else { return nil }
        let hasConfidence = answers.allSatisfy { $0.confidence != nil }
        let hasLogLoss = answers.allSatisfy { $0.logLoss != nil }
        let intervals = sums.intervals(of: answers, task: task, bootstrap)
        images = answers.count
        self.top1 = top1
        let inFive = classes <= 5 ? answers.count : answers.count { ($0.rank ?? .max) <= 5 }
        top5 = classes <= 5 || ranksKnown >= 5 ? .proportion(inFive, of: answers.count) : nil
        self.macroF1 = Estimate(macroF1, intervals[0])
        self.balancedAccuracy = Estimate(balancedAccuracy, intervals[1])
        calibrationError = hasConfidence ? sums.calibration.expectedError.map { Estimate($0, intervals[2]) } : nil
        logLoss = hasLogLoss ? sums.meanLogLoss.map { Estimate($0, intervals[3]) } : nil
        perClass = (0..<classes).map { ClassMetrics(sums.counts, $0) }
        confusion = ConfusionMatrix(classes: classes, answers: answers)
        calibration = sums.calibration
    }
}

/// What the means of a sample are computed from: of all answers, and of each sample that the bootstrap draws.
private struct MetricSums {
    var counts: ClassCounts
    var calibration: ConfidenceCalibration
    private var logLoss = 0.0
    private var images = 0

    init(classes: Int, bins: Int) {
        counts = ClassCounts(classes: classes)
        calibration = ConfidenceCalibration(bins: bins)
    }

    mutating func add(_ answer: Prediction) {
        counts.add(answer)
        calibration.add(answer)
        logLoss += answer.logLoss ?? 0
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
    func intervals(of answers: [Prediction], task: String, _ options: BootstrapOptions) -> [ConfidenceInterval?] {
        var bootstrap = Bootstrap(seed: options.seed, task: task)
        var sums = self
        var values = [[Double]](repeating: [], count: means.count)
        for sample in 0..<max(options.resamples, 0) {
            LongWork.note("resampling", sample, of: options.resamples)
            sums.reset()
            bootstrap.sample(answers.count) { sums.add(answers[$0]) }
            for (index, value) in sums.means.enumerated() { if let value { values[index].append(value) } }
        }
        let limits = [0...1, 0...1, 0...1, 0...Double.greatestFiniteMagnitude]
        return means.enumerated().map { index, mean in
            mean.flatMap { ConfidenceInterval.percentile(of: values[index], about: $0, within: limits[index]) }
        }
    }
}
