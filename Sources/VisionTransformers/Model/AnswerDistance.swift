import Glibc

/// The Kullback-Leibler divergence of one yes or no from another, each given by its logit.
package struct BinaryDivergence {
    /// p log(p/q) + (1 - p) log((1 - p)/(1 - q)), in nats.
    package let value: Double
    /// Its derivative by q's logit, which is q - p.
    package let gradient: Double

    /// The divergence of p from q.
    package init(_ p: Double, from q: Double) {
        let (yes, no) = (Self.logSigmoid(p), Self.logSigmoid(-p))
        value = exp(yes) * (yes - Self.logSigmoid(q)) + exp(no) * (no - Self.logSigmoid(-q))
        gradient = exp(Self.logSigmoid(q)) - exp(yes)
    }

    private static func logSigmoid(_ logit: Double) -> Double { min(logit, 0) - log1p(exp(-logit.magnitude)) }
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
    package mutating func add(_ found: Double, expected: Double) {
        squares += (found - expected) * (found - expected)
        count += 1
        let distance = expected - mean
        mean += distance / count
        spread += distance * (expected - mean)
    }

    /// The mean squared error as a share of the expected values' variance. Values that are all the same are taken to vary by a
    /// millionth of themselves, so that it is a number for them, too.
    package var relative: Double {
        squares == 0 ? 0 : squares / max(spread, 1e-12 * count * (1 + mean * mean))
    }

    /// R², the mean over the outputs, at least 0; 1 without outputs.
    package static func share(_ outputs: [ValueErrors]) -> Double {
        guard !outputs.isEmpty else { return 1 }
        return max(0, 1 - outputs.reduce(0) { $0 + $1.relative } / Double(outputs.count))
    }
}
