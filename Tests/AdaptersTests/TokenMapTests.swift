import Compute
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters

@Suite struct TokenMapTests {
    private static let width = 12

    /// Moments of random tokens and what an affine map of some rank makes of them.
    private static func moments(
        _ rows: Int, seed: UInt64, rank: Int, noise level: Float = 0
    ) -> (summary: RegressionMoments.Summary, map: ([Float]) -> [Float]) {
        var shape = Noise(state: 99)
        let (down, up) = (shape.values(rank * width), shape.values(width * rank))
        let shift = shape.values(width)
        func map(_ x: [Float]) -> [Float] {
            let low = (0..<rank).map { row in (0..<width).reduce(Float(0)) { $0 + down[row * width + $1] * x[$1] } }
            return (0..<width).map { row in
                x[row] + shift[row] + (0..<rank).reduce(Float(0)) { $0 + up[row * rank + $1] * low[$1] } / 3
            }
        }
        var noise = Noise(state: seed)
        let sums = RegressionMoments(size: width)
        for _ in 0..<rows {
            let x = noise.values(width).map { $0 + 0.5 }
            let y = map(x).map { $0 + level * noise.next() }
            sums.add(x, y, rows: 1)
        }
        return (sums.summary, map)
    }

    private static func weight(_ seed: UInt64) -> Tensor {
        var noise = Noise(state: seed)
        return Tensor(shape: [width, width], values: noise.values(width * width))
    }

    private static func apply(_ map: TokenMap, _ x: [Float]) -> [Float] {
        let rank = map.change.rank
        let low = (0..<rank).map { row in
            (0..<width).reduce(Float(0)) { $0 + map.change.down.values[row * width + $1] * x[$1] }
        }
        return (0..<width).map { row in
            x[row] + map.shift[row]
                + (0..<rank).reduce(Float(0)) { $0 + map.change.up.values[row * rank + $1] * low[$1] }
        }
    }

    @Test func aMapOfTheRankIsFound() throws {
        let fit = TokenMapFit(key: Self.weight(1), value: Self.weight(2))
        let (fitted, map) = Self.moments(400, seed: 3, rank: 2)
        let result = try fit.map(fitted, Self.moments(100, seed: 4, rank: 2).summary, rank: 2)
        #expect(result.ridge == TokenMapFit.ridges.first && result.map.change.rank == 2)
        var noise = Noise(state: 5)
        for _ in 0..<20 {
            let x = noise.values(Self.width)
            let largest = zip(Self.apply(result.map, x), map(x)).map { abs($0 - $1) }.max() ?? 1
            #expect(largest < 2e-3)
        }
    }

    /// A lower rank is further from the tokens, and more noise wants more ridge.
    @Test func rankAndRidgeLimitTheMap() throws {
        let fit = TokenMapFit(key: Self.weight(1), value: Self.weight(2))
        let (fitted, map) = Self.moments(400, seed: 3, rank: 4)
        let heldOut = Self.moments(100, seed: 4, rank: 4).summary
        var noise = Noise(state: 5)
        let points = (0..<50).map { _ in noise.values(Self.width) }
        let errors = try [1, 2, 3, 4].map { rank in
            let found = try fit.map(fitted, heldOut, rank: rank).map
            return points.reduce(Float(0)) { sum, x in
                sum + zip(Self.apply(found, x), map(x)).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            }
        }
        #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 })
        let few = Self.moments(20, seed: 6, rank: 4, noise: 2).summary
        let many = Self.moments(400, seed: 7, rank: 4, noise: 2).summary
        #expect((try fit.map(few, many, rank: 4).ridge ?? 1) > TokenMapFit.ridges[0])
    }

    /// Tokens that are the same get no map.
    @Test func tokensThatAreTheSameStay() throws {
        var noise = Noise(state: 5)
        let sums = RegressionMoments(size: Self.width)
        for _ in 0..<50 {
            let x = noise.values(Self.width)
            sums.add(x, x, rows: 1)
        }
        let result = try TokenMapFit(key: Self.weight(1), value: Self.weight(2)).map(
            sums.summary, sums.summary, rank: 4)
        #expect(result.ridge == nil && result.map == .identity(width: Self.width))
    }

    @Test func momentsOfPartsAddUp() {
        let (a, b) = (RegressionMoments(size: Self.width), RegressionMoments(size: Self.width))
        let all = RegressionMoments(size: Self.width)
        var noise = Noise(state: 5)
        for row in 0..<90 {
            let (x, y) = (noise.values(Self.width).map { $0 + Float(row % 3) }, noise.values(Self.width))
            (row < 30 ? a : b).add(x, y, rows: 1)
            all.add(x, y, rows: 1)
        }
        let (sum, whole) = (a.summary + b.summary, all.summary)
        #expect(sum.rows == 90)
        for (found, expected) in [(sum.covariance, whole.covariance), (sum.cross, whole.cross)] {
            #expect(zip(found.values, expected.values).allSatisfy { abs($0 - $1) < 1e-5 })
        }
        #expect(zip(sum.residual, whole.residual).allSatisfy { abs($0 - $1) < 1e-9 })
    }
}
