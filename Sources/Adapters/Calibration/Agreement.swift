import Glibc
import Tensors
package import VisionTransformers

/// How far a model's answers are from those of a task's single adapter, on the same images.
package struct Agreement: Sendable, Equatable {
    /// The share of images with the same answer: the same best class or, with a sigmoid, the same set of classes whose
    /// probability is at least a half. Without an activation, where no two answers are the same, R² of the values, at
    /// least 0.
    package let sameLabel: Double
    /// The mean Kullback-Leibler divergence of the single adapter's answers from the model's, in nats: of its
    /// probabilities, with a sigmoid summed over the classes; without an activation of normal distributions around the
    /// values with the variance that the single adapter's have over the images.
    package let divergence: Double
    /// For each image, whether the answer is the same; nil without an activation.
    package let same: [Bool]?
    /// The divergence of each image.
    package let divergences: [Double]

    /// Compares a head on a merge's features with the task's own head on its single adapter's.
    package init(_ head: Head, _ merged: FeatureTable, teacher: Head, _ single: FeatureTable) {
        switch teacher.activation {
        case .softmax: self.init(rows: merged.rows, { merged.logits($0, head) }, { single.logits($0, teacher) })
        case .sigmoid: self.init(sets: merged.rows, { merged.logits($0, head) }, { single.logits($0, teacher) })
        case .identity: self.init(values: merged.rows, { merged.logits($0, head) }, { single.logits($0, teacher) })
        }
    }

    private init(rows: Int, _ given: (Int) -> [Double], _ wanted: (Int) -> [Double]) {
        var (same, divergences, sum) = ([Bool](), [Double](), 0.0)
        for row in 0..<rows {
            let (wanted, given, before) = (wanted(row), given(row), sum)
            same.append(Logits.argmax(wanted) == Logits.argmax(given))
            let (p, q) = (Self.logProbabilities(wanted), Self.logProbabilities(given))
            for index in p.indices { sum += exp(p[index]) * (p[index] - q[index]) }
            divergences.append(sum - before)
        }
        self.init(same, divergences, sum)
    }

    private init(_ same: [Bool], _ divergences: [Double], _ sum: Double) {
        (self.same, self.divergences) = (same, divergences)
        sameLabel = Double(same.count { $0 }) / Double(max(same.count, 1))
        divergence = sum / Double(max(same.count, 1))
    }

    private init(sets rows: Int, _ given: (Int) -> [Double], _ wanted: (Int) -> [Double]) {
        var (same, divergences) = ([Bool](), [Double]())
        for row in 0..<rows {
            let (wanted, given) = (wanted(row), given(row))
            same.append(zip(wanted, given).allSatisfy { ($0 >= 0) == ($1 >= 0) })
            divergences.append(zip(wanted, given).reduce(0) { $0 + BinaryDivergence($1.0, from: $1.1).value })
        }
        self.init(same, divergences, divergences.reduce(0, +))
    }

    private init(values rows: Int, _ given: (Int) -> [Double], _ wanted: (Int) -> [Double]) {
        var errors: [ValueErrors] = []
        var squares: [[Double]] = []
        for row in 0..<rows {
            let (wanted, given) = (wanted(row), given(row))
            if errors.isEmpty { errors = wanted.map { _ in ValueErrors() } }
            for index in errors.indices { errors[index].add(given[index], expected: wanted[index]) }
            squares.append(zip(wanted, given).map { ($0 - $1) * ($0 - $1) })
        }
        sameLabel = ValueErrors.share(errors)
        divergence = errors.reduce(0) { $0 + $1.relative / 2 }
        same = nil
        // Each output's share of the divergence, divided among the images by their squared errors.
        let totals = errors.indices.map { output in squares.reduce(0) { $0 + $1[output] } }
        divergences = squares.map { squares in
            errors.indices.reduce(0) { sum, output in
                guard totals[output] > 0 else { return sum }
                return sum + Double(rows) * errors[output].relative / 2 * squares[output] / totals[output]
            }
        }
    }

    /// The mean cross entropy of a head's answers with the true classes, in nats.
    static func crossEntropy(_ head: Head, _ features: FeatureTable, classes: [Int]) -> Double {
        let sum = (0..<features.rows).reduce(0.0) { sum, row in
            let logits = features.logits(row, head)
            return sum - SoftmaxSum(logits).logProbability(logits[classes[row]])
        }
        return sum / Double(max(features.rows, 1))
    }

    private static func logProbabilities(_ logits: [Double]) -> [Double] {
        let sum = SoftmaxSum(logits)
        return logits.map(sum.logProbability)
    }
}
