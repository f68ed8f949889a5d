import Glibc
import Tensors

/// A 95 % confidence interval: it contains the true value in 95 of 100 samples.
package struct ConfidenceInterval: Sendable, Equatable {
    /// The lower end.
    package let low: Double
    /// The upper end.
    package let high: Double

    package init(low: Double, high: Double) { (self.low, self.high) = (low, high) }

    /// The confidence of all intervals here.
    package static let level = 0.95
    /// The 97.5 % quantile of the normal distribution, which belongs to that confidence.
    package static let z = 1.959963984540054

    /// Wilson's score interval of a proportion: with p = k/n,
    /// (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).
    ///
    /// Unlike the interval from the standard error, it stays within 0 and 1 and has a width at k = 0 and k = n.
    /// Wilson, Probable Inference, JASA 22 (1927).
    ///
    /// - Returns: nil when `count` is 0.
    static func wilson(_ successes: Int, of count: Int) -> ConfidenceInterval? {
        guard count > 0 else { return nil }
        return wilson(share: Double(successes) / Double(count), of: Double(count))
    }

    /// Wilson's score interval of a proportion of a number of samples that need not be whole.
    static func wilson(share p: Double, of n: Double) -> ConfidenceInterval {
        let square = z * z
        let middle = p + square / (2 * n)
        let spread = z * (p * (1 - p) / n + square / (4 * n * n)).squareRoot()
        let scale = 1 + square / n
        // The ends at 0 and 1 are exact; rounding must not move them.
        return ConfidenceInterval(
            low: p == 0 ? 0 : max(0, (middle - spread) / scale),
            high: p == 1 ? 1 : min(1, (middle + spread) / scale))
    }

    /// The centred percentile interval of resampled values: their quantiles at 2.5 and 97.5 %, interpolated linearly,
    /// shifted by the difference of `value` and their mean, and clamped to `limits`.
    ///
    /// Resampling adds noise to a noisy sample, which biases calibration errors upwards and F1 downwards. Without the
    /// shift, an interval may not even contain the value that it belongs to.
    ///
    /// - Parameters:
    ///   - value: the value of the sample itself.
    ///   - limits: the range of possible values.
    /// - Returns: nil when there are no resampled values.
    static func percentile(
        of values: [Double], about value: Double, within limits: ClosedRange<Double>
    ) -> ConfidenceInterval? {
        guard !values.isEmpty else { return nil }
        let move = value - values.reduce(0, +) / Double(values.count)
        let sorted = values.sorted()
        func quantile(_ part: Double) -> Double {
            let position = part * Double(sorted.count - 1)
            let below = Int(position)
            let above = min(below + 1, sorted.count - 1)
            return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
        }
        let tail = (1 - level) / 2
        func kept(_ end: Double) -> Double { min(max(end + move, limits.lowerBound), limits.upperBound) }
        return ConfidenceInterval(low: kept(quantile(tail)), high: kept(quantile(1 - tail)))
    }
}

/// A number measured on a sample, with its confidence interval.
package struct Estimate: Sendable, Equatable {
    /// The number.
    package let value: Double
    /// Its 95 % interval, if one was computed.
    package let interval: ConfidenceInterval?

    /// A number with its interval.
    package init(_ value: Double, _ interval: ConfidenceInterval?) { (self.value, self.interval) = (value, interval) }

    /// A proportion with Wilson's interval; nil when `count` is 0.
    static func proportion(_ successes: Int, of count: Int) -> Estimate? {
        guard count > 0 else { return nil }
        return Estimate(Double(successes) / Double(count), .wilson(successes, of: count))
    }
}

/// The number of bootstrap samples and their seed.
package struct BootstrapOptions: Sendable, Equatable {
    /// The number of samples; 0 for no intervals.
    package var resamples: Int
    /// The seed; the same seed gives the same intervals.
    package var seed: UInt64

    /// By default 1000 samples from seed 0.
    package init(resamples: Int = 1000, seed: UInt64 = 0) { (self.resamples, self.seed) = (resamples, seed) }
}

/// The bootstrap: samples of the images, each drawn with replacement and of the size of the original.
///
/// Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
struct Bootstrap {
    private var generator: SplitMix64

    /// A generator for one task, so that a task's intervals do not depend on the other tasks.
    init(seed: UInt64, task: String) { generator = SplitMix64(seed: seed, hashOf: task.utf8) }

    /// A number from 0 to `count - 1`.
    mutating func draw(below count: Int) -> Int { generator.next(below: count) }

    /// Calls `body` with the index of each image of a sample of `count` images.
    mutating func sample(_ count: Int, _ body: (Int) -> Void) {
        for _ in 0..<count { body(draw(below: count)) }
    }
}
