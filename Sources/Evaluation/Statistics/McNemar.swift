import Glibc

/// McNemar's test of whether two classifiers have the same accuracy on the same images.
///
/// Only images that exactly one of them classifies correctly count. If both are equally accurate, each such image is
/// the first's or the second's with probability 1/2. McNemar, Psychometrika 12 (1947).
package struct McNemar: Sendable, Equatable {
    /// The forms of the test.
    package enum Form: String, Sendable {
        /// The binomial distribution, two-sided: 2·P(X ≤ min(b, c)), X ~ B(b + c, 1/2), at most 1.
        case exact = "exact binomial"
        /// (|b − c| − 1)² / (b + c) as χ² with one degree of freedom (Edwards' correction).
        case chiSquare = "chi-square with continuity correction"
    }

    /// Images that only the first classifies correctly.
    package let onlyFirst: Int
    /// Images that only the second classifies correctly.
    package let onlySecond: Int
    /// The form that was used: exact below `exactBelow` such images.
    package let form: Form
    /// χ²; nil for the exact form.
    let statistic: Double?
    /// The probability of a difference at least as large if both are equally accurate.
    package let pValue: Double

    /// With fewer such images, the exact form is used.
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

    /// The accuracy of the first minus that of the second over `count` images, with Bonett and Price's interval: Wald's
    /// with one image added to each of the two counts (Statistics in Medicine 31, 2012).
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
