/// Calibration of confidence: how well a model's confidence matches its accuracy, in bins of equal width.
///
/// Bin i of m holds confidences in (i/m, (i+1)/m], the first one 0 too. Guo et al., On Calibration of Modern Neural
/// Networks, ICML 2017 (arXiv 1706.04599).
package struct ConfidenceCalibration: Sendable, Equatable {
    /// The predictions in one bin.
    package struct Bin: Sendable, Equatable {
        /// The number of predictions.
        package internal(set) var count = 0
        /// The number of correct predictions.
        package internal(set) var hits = 0
        /// The sum of their confidences.
        var confidences = 0.0

        /// The mean confidence; nil for an empty bin.
        package var confidence: Double? { count == 0 ? nil : confidences / Double(count) }
        /// The share that is correct; nil for an empty bin.
        package var accuracy: Double? { count == 0 ? nil : Double(hits) / Double(count) }
        /// |accuracy − confidence|; 0 for an empty bin.
        package var gap: Double { count == 0 ? 0 : abs(Double(hits) - confidences) / Double(count) }
    }

    /// The number of bins unless specified.
    package static let defaultBins = 15

    /// The bins from confidence 0 to 1.
    package private(set) var bins: [Bin]

    /// Empty bins; at least one.
    package init(bins count: Int = ConfidenceCalibration.defaultBins) {
        bins = Array(repeating: Bin(), count: max(1, count))
    }

    /// Bins some predictions. Those without a confidence are left out.
    package init(_ predictions: some Sequence<Prediction>, bins count: Int = ConfidenceCalibration.defaultBins) {
        self.init(bins: count)
        for prediction in predictions { add(prediction) }
    }

    /// Adds a prediction, unless it has no confidence.
    package mutating func add(_ prediction: Prediction) {
        guard let confidence = prediction.confidence else { return }
        let index = bin(of: confidence)
        bins[index].count += 1
        bins[index].confidences += confidence
        if prediction.isRight { bins[index].hits += 1 }
    }

    mutating func reset() {
        for index in bins.indices { bins[index] = Bin() }
    }

    /// The bin that a confidence belongs to.
    private func bin(of confidence: Double) -> Int {
        let scaled = (confidence * Double(bins.count)).rounded(.up)
        return min(max(Int(min(scaled, Double(bins.count))), 1), bins.count) - 1
    }

    /// The confidences that a bin holds: above the lower bound, up to the upper.
    package func range(_ bin: Int) -> ClosedRange<Double> {
        Double(bin) / Double(bins.count)...Double(bin + 1) / Double(bins.count)
    }

    /// The number of predictions in all bins.
    package var count: Int { bins.reduce(0) { $0 + $1.count } }

    /// The expected calibration error: the mean of |accuracy − confidence| over the bins, weighted by their counts; nil
    /// without predictions.
    package var expectedError: Double? {
        let count = count
        return count == 0 ? nil : bins.reduce(0) { $0 + $1.gap * Double($1.count) } / Double(count)
    }

    /// The largest |accuracy − confidence| of a bin; nil without predictions.
    package var maximumError: Double? { count == 0 ? nil : bins.map(\.gap).max() }
}
