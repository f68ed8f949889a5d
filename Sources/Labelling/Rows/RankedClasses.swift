import Tensors

/// The prediction of one task for one image: its classes by rank, and their scores. The storage is reused for every
/// image.
package struct RankedClasses {
    /// No classes yet.
    package init() {}

    /// Class indices, best first; of equal logits the lower index comes first. Only as many as were asked for. For a
    /// head without activation, all outputs in their order.
    package private(set) var ranks: [Int] = []
    /// The score of every class, or the value of every output, by index.
    package private(set) var scores: [Double] = []
    /// Whether the best class's probability is below the threshold.
    private(set) var isBelowThreshold = false
    /// How well the image fits the task, 0 to 1; nil if that is not known.
    private(set) var fit: Float?
    /// Whether the fit is below the smallest that labels are written with.
    private(set) var isBelowFit = false

    /// Whether the label is not written.
    var isWithheld: Bool { isBelowThreshold || isBelowFit }

    /// Sets how well the image fits the task.
    ///
    /// - Parameter minimum: the smallest fit that labels are written with; nil for any.
    mutating func setFit(_ fit: Float?, minimum: Double?) {
        self.fit = fit
        isBelowFit = if let fit, let minimum { Double(fit) < minimum } else { false }
    }

    /// Ranks and scores a task's logits.
    ///
    /// Probabilities are the softmax in double precision (see `SoftmaxSum`).
    ///
    /// - Parameters:
    ///   - logits: the logits of this task's classes, finite.
    ///   - count: the number of ranks to compute.
    ///   - kind: whether scores are probabilities or logits.
    ///   - threshold: the probability that the best class must reach; nil for none.
    package mutating func rank(
        _ logits: UnsafeBufferPointer<Float>, count: Int, scores kind: RowOptions.Scores, threshold: Double?
    ) {
        ranks.removeAll(keepingCapacity: true)
        scores.removeAll(keepingCapacity: true)
        isBelowThreshold = false
        guard let best = Logits.argmax(logits) else { return }
        if count == 1 {
            ranks.append(best)
        } else {
            ranks.append(contentsOf: logits.indices)
            ranks.sort { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
            ranks.removeSubrange(min(count, ranks.count)...)
        }
        let sum = SoftmaxSum(logits)
        if let threshold { isBelowThreshold = sum.largestProbability < threshold }
        for logit in logits {
            scores.append(kind == .logit ? Double(logit) : sum.probability(Double(logit)))
        }
    }

    /// Ranks the classes whose probability is at least a threshold, as for a head with a sigmoid.
    ///
    /// Probabilities are the logistic function in double precision.
    ///
    /// - Parameters:
    ///   - logits: the logits of this task's classes, finite.
    ///   - kind: whether scores are probabilities or logits.
    ///   - threshold: the least probability; nil to take every class.
    package mutating func pick(_ logits: UnsafeBufferPointer<Float>, scores kind: RowOptions.Scores, threshold: Double?)
    {
        ranks.removeAll(keepingCapacity: true)
        scores.removeAll(keepingCapacity: true)
        isBelowThreshold = false
        for (index, logit) in logits.enumerated() {
            let probability = Logits.sigmoid(Double(logit))
            if probability >= threshold ?? 0 { ranks.append(index) }
            scores.append(kind == .logit ? Double(logit) : probability)
        }
        ranks.sort { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
    }

    /// Takes the outputs of a head without activation as they are.
    package mutating func take(_ outputs: UnsafeBufferPointer<Float>) {
        ranks.removeAll(keepingCapacity: true)
        scores.removeAll(keepingCapacity: true)
        isBelowThreshold = false
        ranks.append(contentsOf: outputs.indices)
        scores.append(contentsOf: outputs.lazy.map(Double.init))
    }
}
