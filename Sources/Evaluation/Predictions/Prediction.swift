package import Files
import Glibc
import Tensors

/// What a model answered for an image of a known class, as far as the metrics need it.
package struct Prediction: Sendable, Equatable {
    /// The class that the image shows.
    package let truth: Int
    /// The class of the highest score; of equal ones the first.
    package let predicted: Int
    /// The place of the true class among the answers, 1 for the best; nil when it is beyond those that are known.
    package let rank: Int?
    /// The probability of the predicted class; nil when it is not known.
    package let confidence: Double?
    /// The negative logarithm of the true class's probability, in nats; nil when it is not known.
    package let logLoss: Double?

    /// Whether the answer is right.
    package var isRight: Bool { predicted == truth }

    /// An answer from its parts.
    package init(truth: Int, predicted: Int, rank: Int?, confidence: Double?, logLoss: Double?) {
        self.truth = truth
        self.predicted = predicted
        self.rank = rank
        self.confidence = confidence
        self.logLoss = logLoss
    }

    /// The answer that logits give: probabilities are their softmax, in double precision.
    ///
    /// - Returns: nil when there are none, one is not finite, or `truth` is not the place of one.
    package init?(truth: Int, logits: some Collection<Float>) {
        let values = logits.map(Double.init)
        guard values.indices.contains(truth), values.allSatisfy(\.isFinite) else { return nil }
        let sum = SoftmaxSum(values)
        self.init(
            truth: truth, predicted: Logits.argmax(values) ?? 0, rank: Prediction.rank(of: truth, values),
            confidence: sum.largestProbability, logLoss: sum.logLoss(values[truth]))
    }

    /// Probabilities that were written with six decimals are half of the last one at the least.
    static let minimumProbability = 0.5e-6

    /// The answer that probabilities of all classes give.
    ///
    /// - Returns: nil when there are none, one is not a number, or `truth` is not the place of one.
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

/// What a model with independent labels answered for one image.
package struct LabelPrediction: Sendable, Equatable {
    /// The labels that the image shows, by their places in the head, ascending.
    package let truth: [Int]
    /// The labels that it was given, in the same way.
    package let predicted: [Int]
    /// The probability of every label; empty when they are not known.
    package let scores: [Double]

    /// An answer from its parts.
    package init(truth: [Int], predicted: [Int], scores: [Double]) {
        (self.truth, self.predicted, self.scores) = (truth, predicted, scores)
    }

    /// Whether it has all labels of the image and no others.
    package var isExact: Bool { truth == predicted }
}

/// What a model without an activation answered for one image.
package struct ValuePrediction: Sendable, Equatable {
    /// The true value of every output.
    package let truth: [Double]
    /// The value that each output gave.
    package let predicted: [Double]

    /// An answer from its parts; as many values as there are outputs in each.
    package init(truth: [Double], predicted: [Double]) { (self.truth, self.predicted) = (truth, predicted) }
}

/// What came of the images of a task.
package struct TaskPredictions: Sendable, Equatable {
    /// An image without an answer.
    package struct Failure: Sendable, Equatable {
        /// The image's file.
        package let path: BytePath
        /// Why it has none.
        package let reason: String

        /// A failure of one image.
        package init(path: BytePath, reason: String) { (self.path, self.reason) = (path, reason) }
    }

    /// The answers in the order of the task's items; nil for an image that has none. None where images show labels or
    /// values.
    package var answers: [Prediction?] = []
    /// The same where images show labels.
    package var labels: [LabelPrediction?] = []
    /// The same where images show values.
    package var values: [ValuePrediction?] = []
    /// The least probability of a label; nil where the labels were chosen before.
    package var threshold: Double?
    /// The images without an answer, in the same order.
    package var failures: [Failure] = []
    /// How many of the best answers are known for each image.
    package var ranksKnown = Int.max
    /// What cannot be computed from these answers, and why, in sentences.
    package var missing: [String] = []

    /// No answers yet, for so many images of one class each.
    package init(count: Int) { answers = Array(repeating: nil, count: count) }

    /// No answers yet to the images of a task.
    ///
    /// - Parameter threshold: the least probability of a label, if they are still to be chosen.
    package init(to task: EvaluationTask, threshold: Double? = nil) {
        switch task.truths {
        case .classes: answers = Array(repeating: nil, count: task.items.count)
        case .labels:
            labels = Array(repeating: nil, count: task.items.count)
            self.threshold = threshold
        case .values: values = Array(repeating: nil, count: task.items.count)
        }
    }

    /// The answers that there are.
    package var known: [Prediction] { answers.compactMap(\.self) }

    /// The same answers with classes in another order.
    ///
    /// - Returns: nil unless both orders hold the same classes.
    package func reindexed(from classes: [String], to others: [String]) -> TaskPredictions? {
        guard classes != others else { return self }
        let places = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let moved = classes.compactMap { places[$0] }
        guard moved.count == classes.count, Set(moved).count == others.count else { return nil }
        var result = self
        result.answers = answers.map { answer in
            answer.map {
                Prediction(
                    truth: moved[$0.truth], predicted: moved[$0.predicted], rank: $0.rank, confidence: $0.confidence,
                    logLoss: $0.logLoss)
            }
        }
        return result
    }
}
