package import Files
import Glibc
import Tensors

/// A model's prediction for an image that shows one class, as far as metrics need it.
package struct Prediction: Sendable, Equatable {
    /// The class that the image shows.
    package let truth: Int
    /// The class of the highest score; of equal ones the first.
    package let predicted: Int
    /// The rank of the true class, 1 for the highest score; nil when it is beyond the known ranks.
    package let rank: Int?
    /// The probability of the predicted class; nil when unknown.
    package let confidence: Double?
    /// The negative logarithm of the true class's probability, in nats; nil when unknown.
    package let logLoss: Double?

    /// Whether the predicted class is the true one.
    package var isRight: Bool { predicted == truth }

    package init(truth: Int, predicted: Int, rank: Int?, confidence: Double?, logLoss: Double?) {
        self.truth = truth
        self.predicted = predicted
        self.rank = rank
        self.confidence = confidence
        self.logLoss = logLoss
    }

    /// The prediction of some logits, with the softmax computed in double precision.
    ///
    /// - Returns: nil when a logit is not finite or `truth` is not an index of one.
    package init?(truth: Int, logits: some Collection<Float>) {
        let values = logits.map(Double.init)
        guard values.indices.contains(truth), values.allSatisfy(\.isFinite) else { return nil }
        let sum = SoftmaxSum(values)
        self.init(
            truth: truth, predicted: Logits.argmax(values) ?? 0, rank: Prediction.rank(of: truth, values),
            confidence: sum.largestProbability, logLoss: sum.logLoss(values[truth]))
    }

    /// Probabilities read from six decimals are at least half of the last decimal.
    static let minimumProbability = 0.5e-6

    /// The prediction of the probabilities of all classes.
    ///
    /// - Returns: nil when a probability is not finite or `truth` is not an index of one.
    package init?(truth: Int, probabilities: [Double]) {
        guard probabilities.indices.contains(truth), probabilities.allSatisfy(\.isFinite) else { return nil }
        let best = Logits.argmax(probabilities) ?? 0
        self.init(
            truth: truth, predicted: best, rank: Prediction.rank(of: truth, probabilities),
            confidence: probabilities[best], logLoss: -log(max(probabilities[truth], Prediction.minimumProbability)))
    }

    private static func rank(of place: Int, _ values: [Double]) -> Int {
        1
            + values.indices.count {
                values[$0] > values[place] || (values[$0] == values[place] && $0 < place)
            }
    }
}

/// The prediction of a head with a sigmoid, whose labels are independent, for one image.
package struct LabelPrediction: Sendable, Equatable {
    /// The labels that the image shows, as ascending indices in the head.
    package let truth: [Int]
    /// The predicted labels, likewise.
    package let predicted: [Int]
    /// The probability of every label; empty when unknown.
    package let scores: [Double]

    package init(truth: [Int], predicted: [Int], scores: [Double]) {
        (self.truth, self.predicted, self.scores) = (truth, predicted, scores)
    }

    /// Whether the predicted labels are exactly the true ones.
    package var isExact: Bool { truth == predicted }
}

/// The prediction of a head without activation for one image.
package struct ValuePrediction: Sendable, Equatable {
    /// The true value of every output.
    package let truth: [Double]
    /// The value that each output gave.
    package let predicted: [Double]

    /// A prediction; both arrays have one value per output.
    package init(truth: [Double], predicted: [Double]) { (self.truth, self.predicted) = (truth, predicted) }
}

/// The predictions for a task's images.
package struct TaskPredictions: Sendable, Equatable {
    /// An image without a prediction.
    package struct Failure: Sendable, Equatable {
        /// The image's file.
        package let path: BytePath
        /// Why there is none.
        package let reason: String

        package init(path: BytePath, reason: String) { (self.path, self.reason) = (path, reason) }
    }

    /// One per item of the task, nil for an image without a prediction; empty where images show labels or values.
    package var classes: [Prediction?] = []
    /// The same where images show labels.
    package var labels: [LabelPrediction?] = []
    /// The same where images show values.
    package var values: [ValuePrediction?] = []
    /// How well each item fits the task, 0 to 1, nil for an image without a prediction; empty without fits.
    package var fits: [Double?] = []
    /// How well images of the other tasks fit this one.
    package var fitsOfOthers: [Double] = []
    /// The minimum probability of a label; nil where the predictions already say which labels.
    package var threshold: Double?
    /// The images without a prediction, in the same order.
    package var failures: [Failure] = []
    /// The number of best classes known for each image.
    package var ranksKnown = Int.max
    /// The metrics that cannot be computed, and why, one sentence each.
    package var missing: [String] = []

    /// No predictions yet, for `count` images of one class each.
    package init(count: Int) { classes = Array(repeating: nil, count: count) }

    /// No predictions yet for the images of a task.
    ///
    /// - Parameter threshold: the minimum probability of a label; used where images show several.
    package init(to task: EvaluationTask, threshold: Double? = nil) {
        switch task.truths {
        case .classes: classes = Array(repeating: nil, count: task.items.count)
        case .labels:
            labels = Array(repeating: nil, count: task.items.count)
            self.threshold = threshold
        case .values: values = Array(repeating: nil, count: task.items.count)
        }
    }

    /// The predictions that exist.
    package var known: [Prediction] { classes.compactMap(\.self) }

    /// The same predictions with the classes in another order.
    ///
    /// - Returns: nil unless both orders have the same classes.
    package func reindexed(from names: [String], to others: [String]) -> TaskPredictions? {
        guard names != others else { return self }
        let indexByClass = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let moved = names.compactMap { indexByClass[$0] }
        guard moved.count == names.count, Set(moved).count == others.count else { return nil }
        var result = self
        result.classes = classes.map { prediction in
            prediction.map {
                Prediction(
                    truth: moved[$0.truth], predicted: moved[$0.predicted], rank: $0.rank, confidence: $0.confidence,
                    logLoss: $0.logLoss)
            }
        }
        return result
    }
}
