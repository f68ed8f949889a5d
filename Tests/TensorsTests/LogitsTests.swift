import Glibc
import Testing

@testable import Tensors

/// Labels and probabilities of a row of logits.
@Suite struct LogitsTests {
    private static let rows: [(values: [Double], largest: Int?)] = [
        ([3, 1, 2], 0), ([1, 3, 3], 1), ([-.infinity, -.infinity], 0), ([.nan, 1, 2, 2], 2), ([0, -0.0], 0),
        ([.nan, .nan], nil), ([], nil), ([2, .infinity, .infinity], 1),
    ]

    @Test(arguments: rows)
    func theFirstOfEqualValuesIsTheLargest(_ values: [Double], _ expected: Int?) {
        #expect(Logits.argmax(values) == expected)
        let floats = values.map(Float.init)
        #expect(floats.withUnsafeBufferPointer { Logits.argmax($0) } == expected)
    }

    @Test func probabilitiesAreThoseOfSoftmax() {
        let logits = [1.5, -2, 0.25]
        let powers = logits.map(exp)
        let total = powers.reduce(0, +)
        let sum = SoftmaxSum(logits)
        for (logit, power) in zip(logits, powers) {
            #expect(abs(sum.probability(logit) - power / total) < 1e-15)
            #expect(abs(sum.logProbability(logit) - log(power / total)) < 1e-14)
            #expect(sum.logLoss(logit) == -sum.logProbability(logit))
        }
        #expect(sum.largestProbability == sum.probability(1.5))
        #expect(abs(sum.logSumExp - log(total)) < 1e-15)
        let floats = logits.map(Float.init)
        floats.withUnsafeBufferPointer {
            #expect(SoftmaxSum($0).sum == sum.sum && SoftmaxSum($0).maximum == 1.5)
            #expect(SoftmaxSum($0, temperature: 2).sum == SoftmaxSum(logits.map { $0 / 2 }).sum)
        }
    }

    @Test func nothingOverflows() {
        let sum = SoftmaxSum([1000, -1000, 1000])
        #expect(sum.probability(1000) == 0.5 && sum.probability(-1000) == 0)
        #expect(sum.logSumExp == 1000 + log(2))
        #expect(Logits.sigmoid(1000) == 1 && Logits.sigmoid(-1000) == 0 && Logits.sigmoid(0) == 0.5)
        #expect(Logits.sigmoid(-745) > 0 && Logits.sigmoid(40) == 1)
        #expect(Logits.logSigmoid(-1000) == -1000 && Logits.logSigmoid(1000) == 0)
    }

    @Test func divergenceIsThatOfTheProbabilities() {
        let (p, q) = (Logits.sigmoid(0.5), Logits.sigmoid(-1))
        let divergence = BinaryDivergence(0.5, from: -1)
        #expect(abs(divergence.value - (p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))) < 1e-15)
        #expect(abs(divergence.gradient - (q - p)) < 1e-15)
        #expect(BinaryDivergence(3, from: 3).value == 0)
    }
}
