import Glibc
import VisionTransformers

/// How far a model's answers are from those of a task's single adapter, on the same images.
public struct Agreement: Sendable, Equatable {
    /// The share of images whose best class is the same.
    public let sameLabel: Double
    /// The mean Kullback-Leibler divergence of the single adapter's probabilities from the model's, in nats.
    public let divergence: Double

    /// Compares a head on a merge's features with the task's own head on its single adapter's.
    init(_ head: Head, _ merged: FeatureTable, teacher: Head, _ single: FeatureTable) {
        var (same, sum) = (0, 0.0)
        for row in 0..<merged.rows {
            let (wanted, given) = (single.logits(row, teacher), merged.logits(row, head))
            if Self.best(wanted) == Self.best(given) { same += 1 }
            let (p, q) = (Self.logProbabilities(wanted), Self.logProbabilities(given))
            for index in p.indices { sum += exp(p[index]) * (p[index] - q[index]) }
        }
        sameLabel = Double(same) / Double(max(merged.rows, 1))
        divergence = sum / Double(max(merged.rows, 1))
    }

    /// The mean cross entropy of a head's answers with the true classes, in nats.
    static func crossEntropy(_ head: Head, _ features: FeatureTable, classes: [Int]) -> Double {
        let sum = (0..<features.rows).reduce(0.0) { sum, row in
            sum - logProbabilities(features.logits(row, head))[classes[row]]
        }
        return sum / Double(max(features.rows, 1))
    }

    private static func best(_ logits: [Double]) -> Int {
        logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
    }

    private static func logProbabilities(_ logits: [Double]) -> [Double] {
        let highest = logits.max() ?? 0
        let sum = logits.reduce(0) { $0 + exp($1 - highest) }
        return logits.map { $0 - highest - log(sum) }
    }
}
