import Glibc

/// McNemar's test of whether two classifiers, asked about the same images, are right equally often.
///
/// Only the images on which one is right and the other wrong say anything. If both were equally good, each of these
/// would be the one's or the other's with probability 1/2. McNemar, Psychometrika 12 (1947).
package struct McNemar: Sendable, Equatable {
    /// Which form of the test was used.
    package enum Form: String, Sendable {
        /// The binomial distribution, two-sided: 2·P(X ≤ min(b, c)), X ~ B(b + c, 1/2), at most 1.
        case exact = "exact binomial"
        /// (|b − c| − 1)² / (b + c) as χ² with one degree of freedom (Edwards' correction).
        case chiSquare = "chi-square with continuity correction"
    }

    /// Images on which only the first is right.
    package let onlyFirst: Int
    /// Images on which only the second is right.
    package let onlySecond: Int
    /// The form that was used: exact below `exactBelow` such images.
    package let form: Form
    /// χ² of that form; nil of the exact one.
    package let statistic: Double?
    /// The probability of a difference as large as this one or larger, were both equally good.
    package let pValue: Double

    /// With fewer images that tell the two apart the exact form is used.
    package static let exactBelow = 25

    /// The test for two counts.
    package init(onlyFirst: Int, onlySecond: Int) {
        self.onlyFirst = onlyFirst
        self.onlySecond = onlySecond
        let count = onlyFirst + onlySecond
        if count < McNemar.exactBelow {
            form = .exact
            statistic = nil
            pValue = McNemar.binomial(min(onlyFirst, onlySecond), of: count)
        } else {
            form = .chiSquare
            let difference = max(abs(Double(onlyFirst - onlySecond)) - 1, 0)
            let square = difference * difference / Double(count)
            statistic = square
            // The upper tail of χ² with one degree of freedom.
            pValue = erfc((square / 2).squareRoot())
        }
    }

    /// 2·P(X ≤ successes) for X ~ B(count, 1/2), at most 1; the binomials of a small count are exact.
    private static func binomial(_ successes: Int, of count: Int) -> Double {
        var (term, sum) = (1.0, 0.0)
        for index in 0...successes {
            sum += term
            term = term * Double(count - index) / Double(index + 1)
        }
        return min(1, 2 * sum * pow(0.5, Double(count)))
    }

    /// The difference in accuracy, the first's minus the second's, over `count` images that both answered, with the
    /// interval of Bonett and Price: Wald's with one image added to each of the two counts (Statistics in Medicine 31,
    /// 2012).
    ///
    /// - Returns: nil when `count` is 0.
    package func difference(of count: Int) -> Estimate? {
        guard count > 0 else { return nil }
        let n = Double(count + 2)
        let (p, q) = (Double(onlyFirst + 1) / n, Double(onlySecond + 1) / n)
        let spread = ConfidenceInterval.z * ((p + q - (p - q) * (p - q)) / n).squareRoot()
        return Estimate(
            Double(onlyFirst - onlySecond) / Double(count),
            ConfidenceInterval(low: max(-1, p - q - spread), high: min(1, p - q + spread)))
    }
}
