/// Which of a task's images a model classifies correctly.
///
/// It allows paired comparisons of models on the same images, which are more powerful than comparing two accuracies.
package struct CorrectnessMask: Sendable, Equatable {
    /// Whether the prediction is correct, for each image in the task's order.
    package let isRight: [Bool]

    /// A mask of images in their order.
    package init(_ isRight: [Bool]) { self.isRight = isRight }

    /// The number of images.
    package var count: Int { isRight.count }
    /// The number of correct images.
    package var right: Int { isRight.count { $0 } }
    /// The share of correct images, with Wilson's interval; nil without images.
    package var accuracy: Estimate? { .proportion(right, of: count) }

    /// The mask as hexadecimal digits: four images per digit, the first in its highest bit.
    package var text: String {
        let digits = Array("0123456789abcdef")
        return String(
            stride(from: 0, to: count, by: 4).map { start in
                digits[(0..<4).reduce(0) { 2 * $0 + (start + $1 < count && isRight[start + $1] ? 1 : 0) }]
            })
    }

    /// Reads a mask of `count` images from its `text`; nil when that is invalid.
    package init?(text: String, count: Int) {
        let digits = text.map(\.hexDigitValue)
        guard count >= 0, digits.count == (count + 3) / 4 else { return nil }
        var isRight: [Bool] = []
        for digit in digits {
            guard let digit else { return nil }
            isRight += [8, 4, 2, 1].map { digit & $0 != 0 }
        }
        guard !isRight[count...].contains(true) else { return nil }
        self.init(Array(isRight[..<count]))
    }

    /// This accuracy minus that of another model on the same images, with Bonett and Price's interval; nil without
    /// images.
    package func gain(over other: CorrectnessMask) -> Estimate? { test(against: other).difference(of: count) }

    /// McNemar's test of this model against another on the same images.
    package func test(against other: CorrectnessMask) -> McNemar {
        let pairs = zip(isRight, other.isRight)
        return McNemar(onlyFirst: pairs.count { $0 && !$1 }, onlySecond: pairs.count { !$0 && $1 })
    }

    /// The ratio of this accuracy to that of another model on the same images.
    ///
    /// The interval is Bonett and Price's for paired proportions (Statistics in Medicine 25, 2006): Wilson's intervals
    /// of both, at a quantile that accounts for their dependence, the ends of one divided by those of the other.
    ///
    /// - Returns: nil when the other model is never correct.
    package func ratio(to other: CorrectnessMask) -> Estimate? {
        let (first, second) = (Double(right), Double(other.right))
        guard second > 0 else { return nil }
        let test = test(against: other)
        let alone = Double(test.onlyFirst + test.onlySecond)
        // Images that neither classifies correctly do not affect the ratio.
        let n = Double(test.onlyFirst) + second
        func deviation(_ x: Double) -> Double { ((1 - (x + 1) / (n + 2)) / (x + 1)).squareRoot() }
        let joint = ((alone + 2) / ((first + 1) * (second + 1))).squareRoot()
        let k = ConfidenceInterval.z * joint / (deviation(first) + deviation(second))
        func ends(_ x: Double) -> (low: Double, high: Double) {
            let spread = k * (k * k / 4 + x * (1 - x / n)).squareRoot()
            return (max(0, (x + k * k / 2 - spread) / (n + k * k)), (x + k * k / 2 + spread) / (n + k * k))
        }
        let (ours, theirs) = (ends(first), ends(second))
        guard theirs.low > 0 else { return Estimate(first / second, nil) }
        return Estimate(first / second, ConfidenceInterval(low: ours.low / theirs.high, high: ours.high / theirs.low))
    }
}
