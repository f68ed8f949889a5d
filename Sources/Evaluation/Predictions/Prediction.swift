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
