/// Metrics of a task whose images show any number of labels, computed from true and predicted labels.
///
/// Means over classes include those that at least one image shows.
package struct MultiLabelMetrics: Sendable, Equatable {
    /// The number of images with a prediction; at least one.
    package let images: Int
    /// The share of images whose predicted labels are exactly the true ones, with Wilson's interval.
    package let exactMatch: Estimate
    /// Mean average precision, with a bootstrap interval; nil when scores are unknown.
    package let meanAveragePrecision: Estimate?
    /// 2·hits / (support + predicted) of all classes together, with a bootstrap interval; nil when both are 0.
    package let microF1: Estimate?
    /// The mean F1 of the classes, with a bootstrap interval; nil when no image shows a label.
    package let macroF1: Estimate?
    /// hits / predicted of all classes together, with a bootstrap interval; nil when no label is predicted.
    package let microPrecision: Estimate?
    /// hits / support of all classes together, with a bootstrap interval; nil when no image shows a label.
    package let microRecall: Estimate?
    /// By class, in the head's order.
    package let perClass: [ClassMetrics]

    /// Computes a task's metrics.
    ///
    /// - Parameters:
    ///   - task: the task's name, which seeds its bootstrap samples.
    ///   - classes: the number of classes of the head.
    ///   - predictions: the predictions; all of them have scores of all classes, or none has.
    /// - Returns: nil without predictions.
    package init?(
        task: String, classes: Int, predictions: [LabelPrediction], bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        guard let exactMatch = Estimate.proportion(predictions.count(where: \.isExact), of: predictions.count) else {
            return nil
        }
        let sums = LabelSums(classes: classes, predictions)
        let (means, intervals) = (sums.means, sums.intervals(task: task, bootstrap))
        func estimate(_ index: Int) -> Estimate? { means[index].map { Estimate($0, intervals[index]) } }
        images = predictions.count
        self.exactMatch = exactMatch
        meanAveragePrecision = estimate(0)
        microF1 = estimate(1)
        macroF1 = estimate(2)
        microPrecision = estimate(3)
        microRecall = estimate(4)
        perClass = (0..<classes).map { index in
            ClassMetrics(
                sums.counts, index, averagePrecision: sums.rankings.isEmpty ? nil : sums.rankings[index].value)
        }
    }
}

/// The counts behind the means, of all predictions or of one bootstrap sample.
private struct LabelSums {
    let predictions: [LabelPrediction]
    /// One per class; empty when scores are unknown.
    let rankings: [AveragePrecision]
    private(set) var counts: ClassCounts
    /// How often each image occurs in the sample.
    private var images: [Int]

    init(classes: Int, _ predictions: [LabelPrediction]) {
        self.predictions = predictions
        counts = ClassCounts(classes: classes)
        images = Array(repeating: 1, count: predictions.count)
        rankings =
            predictions.contains { $0.scores.count != classes }
            ? []
            : (0..<classes).map { label in
                AveragePrecision(
                    scores: predictions.map { $0.scores[label] },
                    isPositive: predictions.map { $0.truth.contains(label) })
            }
        for prediction in predictions { counts.add(prediction, times: 1) }
    }

    /// Mean average precision, micro F1, macro F1, micro precision and micro recall.
    var means: [Double?] {
        let precisions = rankings.compactMap { ranking in ranking.value { images[$0] } }
        func total(_ counts: [Int]) -> Double { Double(counts.reduce(0, +)) }
        let (support, predicted) = (total(counts.support), total(counts.predicted))
        let hits = total(counts.hits)
        return [
            precisions.isEmpty ? nil : precisions.reduce(0, +) / Double(precisions.count),
            support + predicted == 0 ? nil : 2 * hits / (support + predicted), counts.macroF1,
            predicted == 0 ? nil : hits / predicted, support == 0 ? nil : hits / support,
        ]
    }

    /// The intervals of these means.
    func intervals(task: String, _ options: BootstrapOptions) -> [ConfidenceInterval?] {
        var bootstrap = Bootstrap(seed: options.seed, task: task)
        var sums = self
        var values = [[Double]](repeating: [], count: means.count)
        for _ in 0..<max(options.resamples, 0) {
            sums.counts.reset()
            for index in sums.images.indices { sums.images[index] = 0 }
            bootstrap.sample(predictions.count) { sums.images[$0] += 1 }
            for (prediction, times) in zip(predictions, sums.images) where times > 0 {
                sums.counts.add(prediction, times: times)
            }
            for (index, value) in sums.means.enumerated() { if let value { values[index].append(value) } }
        }
        return means.enumerated().map { index, mean in
            mean.flatMap { ConfidenceInterval.percentile(of: values[index], about: $0, within: 0...1) }
        }
    }
}

extension ClassCounts {
    /// Counts the labels of an image that occurs several times in a sample.
    fileprivate mutating func add(_ prediction: LabelPrediction, times: Int) {
        for label in prediction.truth { support[label] += times }
        for label in prediction.predicted {
            predicted[label] += times
            if prediction.truth.contains(label) { hits[label] += times }
        }
    }
}

/// Average precision: how well scores rank the images that show a class above those that do not.
///
/// AP = Σ (R_n − R_{n−1})·P_n over the thresholds n from the highest score to the lowest, with the precision P_n and
/// the recall R_n of all images at or above the threshold. There is no interpolation, and images of equal score count
/// together, as in scikit-learn's `average_precision_score`.
struct AveragePrecision {
    /// The images by descending score.
    private let order: [Int32]
    /// Whether each image shows the class, in the same order.
    private let isPositive: [Bool]
    /// Whether each image is the last one with its score, in the same order.
    private let endsGroup: [Bool]

    /// Sorts the images of one class.
    ///
    /// - Parameters:
    ///   - scores: one per image, finite.
    ///   - isPositive: whether each image shows the class; one per score.
    init(scores: [Double], isPositive: [Bool]) {
        let ranking = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        order = ranking.map(Int32.init)
        self.isPositive = ranking.map { isPositive[$0] }
        endsGroup = ranking.indices.map { $0 + 1 == ranking.count || scores[ranking[$0 + 1]] != scores[ranking[$0]] }
    }

    /// The average precision; nil when no image shows the class.
    var value: Double? { value { _ in 1 } }

    /// The average precision of a sample of the images; nil when no image in it shows the class.
    ///
    /// - Parameter count: how often an image occurs in the sample.
    func value(_ count: (Int) -> Int) -> Double? {
        var (sum, seen, found, credited) = (0.0, 0, 0, 0)
        for place in order.indices {
            let weight = count(Int(order[place]))
            seen += weight
            if isPositive[place] { found += weight }
            guard endsGroup[place], found > credited else { continue }
            sum += Double(found - credited) * Double(found) / Double(seen)
            credited = found
        }
        return found == 0 ? nil : sum / Double(found)
    }
}

/// Mean average precision (mAP): the mean of the average precisions of the classes that at least one image shows.
///
/// - Parameters:
///   - scores: a row per image of a finite score per class.
///   - labels: the classes that each image shows.
/// - Returns: nil when no image shows a class.
package func meanAveragePrecision(scores: [[Double]], labels: [[Int]]) -> Double? {
    let values = (0..<(scores.first?.count ?? 0)).compactMap { label in
        AveragePrecision(scores: scores.map { $0[label] }, isPositive: labels.map { $0.contains(label) }).value
    }
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}
