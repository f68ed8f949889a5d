import Glibc

/// The largest of a row of logits, or of other scores.
package enum Logits {
    /// The index of the largest value; of equal values the first. Values that are not numbers do not count: nil when
    /// there is no other.
    package static func argmax(_ values: UnsafeBufferPointer<Float>) -> Int? { firstLargest(values) }

    /// The index of the largest value, as of 32-bit floats.
    package static func argmax(_ values: [Double]) -> Int? { firstLargest(values) }

    private static func firstLargest<Values: RandomAccessCollection>(
        _ values: Values
    ) -> Int? where Values.Element: BinaryFloatingPoint, Values.Index == Int {
        var best: Int?
        for index in values.indices where !values[index].isNaN {
            if let largest = best, values[index] <= values[largest] { continue }
            best = index
        }
        return best
    }

    /// 1 / (1 + exp(-x)) without overflow: the probability of a class with a sigmoid.
    package static func sigmoid(_ logit: Double) -> Double {
        let power = exp(-logit.magnitude)
        return logit < 0 ? power / (1 + power) : 1 / (1 + power)
    }

    /// log sigmoid(x) without overflow.
    package static func logSigmoid(_ logit: Double) -> Double { min(logit, 0) - log1p(exp(-logit.magnitude)) }
}

/// What turns a row of logits x into probabilities by softmax, exp(x_i) / Σ exp(x): the largest logit, which every
/// logit is reduced by so that nothing overflows, and the sum of the powers, added up in the order of the classes, in
/// double precision.
package struct SoftmaxSum: Sendable {
    /// The largest logit.
    package let maximum: Double
    /// Σ exp(x - maximum), at least 1.
    package let sum: Double

    /// The sum of a row of logits, each divided by a temperature.
    package init(_ logits: UnsafeBufferPointer<Float>, temperature: Double = 1) {
        var maximum = -Double.infinity
        for logit in logits { maximum = max(maximum, Double(logit) / temperature) }
        var sum = 0.0
        for logit in logits { sum += exp(Double(logit) / temperature - maximum) }
        (self.maximum, self.sum) = (maximum, sum)
    }

    /// The sum of a row of logits.
    package init(_ logits: [Double]) {
        let maximum = logits.max() ?? 0
        self.maximum = maximum
        sum = logits.reduce(0) { $0 + exp($1 - maximum) }
    }

    /// The probability of the class with the largest logit.
    package var largestProbability: Double { 1 / sum }

    /// The probability of a class by its logit.
    package func probability(_ logit: Double) -> Double { exp(logit - maximum) / sum }

    /// The logarithm of a class's probability by its logit.
    package func logProbability(_ logit: Double) -> Double { logit - maximum - log(sum) }

    /// The negative logarithm of a class's probability by its logit, in nats.
    package func logLoss(_ logit: Double) -> Double { log(sum) - (logit - maximum) }

    /// log Σ exp(x).
    package var logSumExp: Double { maximum + log(sum) }
}

/// The Kullback-Leibler divergence of one yes or no from another, each given by its logit.
package struct BinaryDivergence {
    /// p log(p/q) + (1 - p) log((1 - p)/(1 - q)), in nats.
    package let value: Double
    /// Its derivative by q's logit, which is q - p.
    package let gradient: Double

    /// The divergence of p from q.
    package init(_ p: Double, from q: Double) {
        let (yes, no) = (Logits.logSigmoid(p), Logits.logSigmoid(-p))
        value = exp(yes) * (yes - Logits.logSigmoid(q)) + exp(no) * (no - Logits.logSigmoid(-q))
        gradient = exp(Logits.logSigmoid(q)) - exp(yes)
    }
}

/// How far the values of one output are from what is expected of them, over images.
package struct ValueErrors: Sendable {
    private var count = 0.0
    private var squares = 0.0
    /// Mean of the expected values, and the sum of their squared distances from it.
    private var mean = 0.0
    private var spread = 0.0

    package init() {}

    /// Adds an image.
    package mutating func add(_ value: Double, expected: Double) {
        squares += (value - expected) * (value - expected)
        count += 1
        let distance = expected - mean
        mean += distance / count
        spread += distance * (expected - mean)
    }

    /// The mean squared error as a share of the expected values' variance. Values that are all the same are taken to
    /// vary by a millionth of themselves, so that this is a number for them, too.
    package var relative: Double {
        squares == 0 ? 0 : squares / max(spread, 1e-12 * count * (1 + mean * mean))
    }

    /// R², the mean over the outputs, at least 0; 1 without outputs.
    package static func share(_ outputs: [ValueErrors]) -> Double {
        guard !outputs.isEmpty else { return 1 }
        return max(0, 1 - outputs.reduce(0) { $0 + $1.relative } / Double(outputs.count))
    }
}
