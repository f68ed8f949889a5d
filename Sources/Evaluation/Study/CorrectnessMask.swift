/// Which of a task's images a model gives their class.
///
/// Models that were asked about the same images are compared image by image, which says more than two accuracies do.
package struct CorrectnessMask: Sendable, Equatable {
    /// Whether the answer is right, for each image in the order of the task's images.
    package let isRight: [Bool]

    /// Marks for images in their order.
    package init(_ isRight: [Bool]) { self.isRight = isRight }

    /// How many images there are.
    package var count: Int { isRight.count }
    /// How many are given their class.
    package var right: Int { isRight.count { $0 } }
    /// The share that is, with Wilson's interval; nil without images.
    package var accuracy: Estimate? { .proportion(right, of: count) }

    /// The marks as hexadecimal digits: four images a digit, the first in its highest bit.
    package var text: String {
        let digits = Array("0123456789abcdef")
        return String(
            stride(from: 0, to: count, by: 4).map { start in
                digits[(0..<4).reduce(0) { 2 * $0 + (start + $1 < count && isRight[start + $1] ? 1 : 0) }]
            })
    }

    /// The marks of so many images from what `text` gave; nil if it did not.
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

    /// The difference in accuracy, these marks' minus those of another model on the same images, with Bonett and
    /// Price's interval; nil without images.
    package func gain(over other: CorrectnessMask) -> Estimate? { test(against: other).difference(of: count) }

    /// McNemar's test of whether this model and another are right equally often on the same images.
    package func test(against other: CorrectnessMask) -> McNemar {
        let pairs = zip(isRight, other.isRight)
        return McNemar(onlyFirst: pairs.count { $0 && !$1 }, onlySecond: pairs.count { !$0 && $1 })
    }

    /// The ratio of the accuracies, these marks' to those of another model on the same images.
    ///
    /// The interval is Bonett and Price's for paired proportions (Statistics in Medicine 25, 2006): Wilson's intervals
    /// of both, at a quantile that takes their dependence into account, one's ends divided by the other's.
    ///
    /// - Returns: nil when the other model is never right.
    package func ratio(to other: CorrectnessMask) -> Estimate? {
        let (first, second) = (Double(right), Double(other.right))
        guard second > 0 else { return nil }
        let test = test(against: other)
        let alone = Double(test.onlyFirst + test.onlySecond)
        // Images that neither has right say nothing about the ratio.
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
