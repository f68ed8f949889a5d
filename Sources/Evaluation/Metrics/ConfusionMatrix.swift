/// The number of images by true class (row) and predicted class (column).
package struct ConfusionMatrix: Sendable, Equatable {
    /// The number of classes.
    package let classes: Int
    /// The counts in row-major order, `classes * classes`.
    package private(set) var counts: [Int]

    /// Counts some predictions.
    package init(classes: Int, predictions: some Sequence<Prediction>) {
        self.classes = classes
        counts = Array(repeating: 0, count: classes * classes)
        for prediction in predictions { counts[prediction.truth * classes + prediction.predicted] += 1 }
    }

    /// The number of images of class `truth` for which class `predicted` is predicted.
    package subscript(truth: Int, predicted: Int) -> Int { counts[truth * classes + predicted] }

    /// The row of a true class.
    package func row(_ truth: Int) -> ArraySlice<Int> { counts[truth * classes..<(truth + 1) * classes] }

    /// The most frequent confusions: cells off the diagonal, by descending count, then by index.
    package func confusions(limit: Int) -> [(truth: Int, predicted: Int, count: Int)] {
        var found: [(truth: Int, predicted: Int, count: Int)] = []
        for truth in 0..<classes {
            for (predicted, count) in row(truth).enumerated() where count > 0 && predicted != truth {
                found.append((truth, predicted, count))
            }
        }
        found.sort { $0.count != $1.count ? $0.count > $1.count : ($0.truth, $0.predicted) < ($1.truth, $1.predicted) }
        return Array(found.prefix(limit))
    }
}

/// Counts by class: the margins and the diagonal of the confusion matrix.
struct ClassCounts: Equatable {
    /// Images of the class.
    var support: [Int]
    /// Images for which the class is predicted.
    var predicted: [Int]
    /// Images of the class for which it is predicted.
    var hits: [Int]

    init(classes: Int) {
        support = Array(repeating: 0, count: classes)
        (predicted, hits) = (support, support)
    }

    mutating func add(_ prediction: Prediction) {
        support[prediction.truth] += 1
        predicted[prediction.predicted] += 1
        if prediction.isRight { hits[prediction.truth] += 1 }
    }

    mutating func reset() {
        for index in support.indices { (support[index], predicted[index], hits[index]) = (0, 0, 0) }
    }

    /// 2·hits / (support + predicted), the harmonic mean of precision and recall; nil when both are 0.
    func f1(_ index: Int) -> Double? {
        let total = support[index] + predicted[index]
        return total == 0 ? nil : 2 * Double(hits[index]) / Double(total)
    }

    /// The mean of a value over the classes that have images; nil when none has.
    private func macro(_ value: (Int) -> Double) -> Double? {
        var (sum, count) = (0.0, 0)
        for index in support.indices where support[index] > 0 {
            sum += value(index)
            count += 1
        }
        return count == 0 ? nil : sum / Double(count)
    }

    /// The mean of F1 over the classes that have images.
    var macroF1: Double? { macro { f1($0) ?? 0 } }

    /// The mean of recall over the classes that have images.
    var balancedAccuracy: Double? { macro { Double(hits[$0]) / Double(support[$0]) } }
}

/// The metrics of one class, or of one label where images show several.
package struct ClassMetrics: Sendable, Equatable {
    /// Images that show it.
    package let support: Int
    /// Images for which it is predicted.
    package let predicted: Int
    /// Images that show it and for which it is predicted.
    package let hits: Int
    /// hits / predicted with Wilson's interval; nil when it is never predicted.
    package let precision: Estimate?
    /// hits / support with Wilson's interval; nil when it has no images.
    package let recall: Estimate?
    /// The harmonic mean of the two, 2·hits / (support + predicted); nil when both counts are 0.
    package let f1: Double?
    /// The average precision of a label; nil for classes, without scores, and when no image shows the label.
    package let averagePrecision: Double?

    init(_ counts: ClassCounts, _ index: Int, averagePrecision: Double? = nil) {
        (support, predicted, hits) = (counts.support[index], counts.predicted[index], counts.hits[index])
        precision = .proportion(hits, of: predicted)
        recall = .proportion(hits, of: support)
        f1 = counts.f1(index)
        self.averagePrecision = averagePrecision
    }
}
