import Compute
import Tensors
import TestSupport
import Testing

@testable import Adapters
@testable import VisionTransformers

@Suite struct DistributionEstimateTests {
    @Test func momentsByHand() {
        // Rows ±(2, 0) and ±(0, 1), each with a weight of ¼: S = diag(2, ½), mean of its eigenvalues 1.25.
        let rows = Matrix(rows: 4, columns: 2, values: [2, 0, -2, 0, 0, 1, 0, -1])
        let (covariance, average, shrinkage) = DistributionEstimate.moments(rows, [0.25, 0.25, 0.25, 0.25])
        #expect(covariance.values == [2, 0, 0, 0.5] && average == 1.25)
        // Σ w² ‖x xᵀ - S‖² = (2 (2² + ½²) + 2 (2² + ½²)) / 16 = 1.0625; ‖S - 1.25 I‖² = 1.125.
        #expect(shrinkage == 1.0625 / 1.125)
    }

    @Test func setsCountAlike() throws {
        let one = FeatureTable(rows: 1, width: 1, values: [0])
        let three = FeatureTable(rows: 3, width: 1, values: [4, 4, 4])
        let distribution = try DistributionEstimate.distribution([one, three])
        #expect(distribution.mean.elements.map { $0 } == [2] && distribution.rank == 0)
        #expect(distribution.variances == [4])
    }

    @Test func imagesThatAreAllTheSameGiveFiniteNumbers() throws {
        let table = FeatureTable(rows: 12, width: 3, values: [Float](repeating: 0.5, count: 36))
        let distribution = try DistributionEstimate.distribution([table])
        #expect(distribution.variances.allSatisfy { $0 > 0 && (1 / $0).isFinite })
        let scratch = FloatBuffer(count: 3)
        #expect(distribution.distance([0.5, 0.5, 0.5], scratch: scratch) == 0)
        #expect(distribution.distance([0.5, 0.5, 1], scratch: scratch) > 1e6)
    }

    /// Images of one kind, of which some are held out: about 5 % of others of that kind have a value below 0.05.
    @Test func valuesAreValidForImagesOfTheSameKind() throws {
        var random = SplitMix64(state: 1)
        let width = 12
        func table(_ rows: Int) -> FeatureTable {
            FeatureTable(
                rows: rows, width: width,
                values: (0..<rows * width).map { index in
                    // A sum of uniform numbers, wider in the first columns.
                    let sum = (0..<4).reduce(0.0) { total, _ in
                        total + random.nextUniform() - 0.5
                    }
                    return Float(sum * (index % width < 3 ? 5 : 1))
                })
        }
        let distribution = try DistributionEstimate.distribution([table(200)])
        let background = SummaryDistribution(
            mean: [Float](repeating: 0, count: width), directions: [], variances: [30])
        func scores(_ table: FeatureTable) -> [Float] {
            (0..<table.rows).map { row in
                GroupFit.score(
                    Array(table.values[row * width..<(row + 1) * width]), distribution, background: background)
            }
        }
        let fit = TaskFit(task: "t", distribution: distribution, heldOut: scores(table(400)))
        let values = scores(table(4000)).map(fit.value)
        let rejected = Double(values.count { $0 < 0.05 }) / 4000
        #expect(rejected > 0.02 && rejected < 0.08, "\(rejected)")
        let half = Double(values.count { $0 < 0.5 }) / 4000
        #expect(half > 0.42 && half < 0.58, "\(half)")
    }
}
