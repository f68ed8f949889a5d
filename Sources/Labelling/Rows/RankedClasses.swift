import Tensors

/// One task's answer for one image: its classes by rank, and their scores. Its storage is used again for every image.
package struct RankedClasses {
    /// No answer yet.
    package init() {}

    /// Class indices, best first; of equal logits the lower index is the better. Only as many as are needed. Without an
    /// activation all outputs in their order.
    package private(set) var ranks: [Int] = []
    /// The score of every class, or the value of every output, by its index.
    package private(set) var scores: [Double] = []
    /// Whether the best class's probability is below the threshold.
    private(set) var isBelowThreshold = false

    /// Ranks and scores a task's logits.
    ///
    /// Probabilities are the softmax in double precision (see `SoftmaxSum`).
    ///
    /// - Parameters:
    ///   - logits: the logits of this task's classes, finite.
    ///   - count: how many ranks are needed.
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

    /// Takes the classes whose probability is at least a threshold.
    ///
    /// Probabilities are the logistic function in double precision.
    ///
    /// - Parameters:
    ///   - logits: the logits of this task's classes, finite.
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

    /// Takes the outputs as they are.
    package mutating func take(_ outputs: UnsafeBufferPointer<Float>) {
        ranks.removeAll(keepingCapacity: true)
        scores.removeAll(keepingCapacity: true)
        isBelowThreshold = false
        ranks.append(contentsOf: outputs.indices)
        scores.append(contentsOf: outputs.lazy.map(Double.init))
    }
}
