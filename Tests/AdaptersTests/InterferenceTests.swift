import Compute
import Files
import Testing
import VisionTransformers

@testable import Adapters

/// A matrix of numbers that look random and are always the same.
func scattered(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return Matrix(
        rows: rows, columns: columns,
        values: (0..<rows * columns).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Double(state >> 11) / Double(1 << 53) - 0.5
        })
}

private func task(_ name: String, _ delta: WeightDelta, weight: Double = 1) -> TaskVector {
    TaskVector(task: name, weight: weight, deltas: ["layers.0.attention.q_proj.weight": delta])
}

private func lowRank(_ rank: Int, seed: UInt64, scale: Double = 1) -> WeightDelta {
    WeightDelta(
        shape: [12, 9],
        .lowRank(b: scattered(12, rank, seed: seed), a: scattered(rank, 9, seed: seed + 100), scale: scale))
}

private func near(_ a: Double?, _ b: Double, _ tolerance: Double = 1e-12) -> Bool {
    a.map { abs($0 - b) < tolerance } ?? false
}

@Suite struct InterferenceTests {
    private func measure(_ first: WeightDelta, _ second: WeightDelta) throws -> Interference.Pair {
        try #require(Interference([task("a", first), task("b", second)]).pairs.first)
    }

    @Test(arguments: [1, 3, 9, 12]) func theSameChangeAgreesWithItselfAndClashesWithItsNegative(_ rank: Int) throws {
        let delta = lowRank(rank, seed: 1)
        let same = try measure(delta, lowRank(rank, seed: 1, scale: 2))
        #expect(near(same.measure.normRatio, 0.5) && near(same.measure.cosine, 1))
        #expect(near(same.measure.columnOverlap, 1) && near(same.measure.rowOverlap, 1) && near(same.clash, 0))
        let negated = try measure(delta, lowRank(rank, seed: 1, scale: -1))
        #expect(near(negated.measure.cosine, -1) && near(negated.clash, 1))
        #expect(negated.worst?.parameter == "layers.0.attention.q_proj.weight")
        // However the change is written down.
        let dense = try measure(delta, WeightDelta(shape: [12, 9], .dense(delta.dense)))
        #expect(near(dense.measure.cosine, 1) && near(dense.measure.columnOverlap, 1))
    }

    @Test func changesInSpacesThatDoNotMeetDoNotClash() throws {
        func corner(_ row: Int, _ column: Int) -> WeightDelta {
            var (b, a) = (Matrix(rows: 6, columns: 1), Matrix(rows: 1, columns: 6))
            (b[row, 0], a[0, column]) = (2, 1)
            return WeightDelta(shape: [6, 6], .lowRank(b: b, a: a, scale: 1))
        }
        let apart = try measure(corner(0, 0), corner(1, 1))
        #expect(apart.measure == .init(normRatio: 1, cosine: 0, columnOverlap: 0, rowOverlap: 0) && apart.clash == 0)
        #expect(apart.worst == nil)
        let sameOutput = try measure(corner(0, 0), corner(0, 1))
        #expect(sameOutput.measure == .init(normRatio: 1, cosine: 0, columnOverlap: 1, rowOverlap: 0))
    }

    @Test func anyRanksGiveWhatTheDenseMatricesGive() throws {
        let (one, other) = (lowRank(2, seed: 3), lowRank(7, seed: 4, scale: 0.3))
        let pair = try measure(one, other)
        let (a, b) = (one.dense, other.dense)
        let inner = zip(a.values, b.values).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(near(pair.measure.cosine, inner / (a.norm * b.norm)))
        #expect(near(pair.measure.normRatio, a.norm / b.norm))
        #expect(near(pair.parameters.first?.weight, a.norm * b.norm))
        let (left, right) = (try a.singularValueDecomposition(), try b.singularValueDecomposition())
        let product = Matrix.product(left.u.firstColumns(2), transposed: true, right.u.firstColumns(7))
        #expect(near(pair.measure.columnOverlap, product.norm * product.norm / 2))
    }

    @Test func nothingAndWhatIsNotANumberAreNoTrap() throws {
        let nothing = WeightDelta(shape: [12, 9], .dense(Matrix(rows: 12, columns: 9)))
        let pair = try measure(lowRank(2, seed: 1), nothing)
        #expect(pair.measure == .init(normRatio: nil, cosine: 0, columnOverlap: 0, rowOverlap: 0))
        #expect(try Interference([]).pairs.isEmpty && Interference([task("a", nothing)]).worst == nil)
        #expect(throws: ModelError.self) { try measure(lowRank(2, seed: 1), lowRank(2, seed: 2, scale: .nan)) }
        // A vector is a matrix of one column.
        let vectors = [1.0, -0.5].map {
            WeightDelta(shape: [12], .dense($0 * scattered(12, 1, seed: 5)))
        }
        #expect(near(try measure(vectors[0], vectors[1]).clash, 1))
    }

    @Test func adaptersOfEveryKindAreMeasured() throws {
        let base = try Checkpoint(folder: casePath("base"))
        let adapters = try ["a", "dora", "a_oldnames", "wide"].map {
            try Adapter(task: $0, path: casePath($0), base: base)
        }
        let interference = try Interference(adapters, base: base)
        #expect(interference.pairs.count == 6 && interference.norms.allSatisfy { $0 > 0 })
        let twins = try #require(interference.pairs.first { $0.first == "a" && $0.second == "a_oldnames" })
        #expect(near(twins.measure.cosine, 1) && twins.parameters.count == 6)
        let dora = try #require(interference.pairs.first { $0.second == "dora" })
        #expect(dora.measure.columnOverlap > 0.7)
    }
}

@Suite struct MergeCheckTests {
    @Test func everythingInTheWayIsListedAtOnce() throws {
        let check = MergeCheck(
            base: casePath("base"),
            adapters: [
                .init(task: "a", path: casePath("a")), .init(task: "a", path: casePath("b")),
                .init(task: "gone", path: casePath("gone")), .init(task: "rs", path: casePath("rs")),
                .init(task: "dora", path: casePath("dora")), .init(task: "x/y", path: casePath("wide")),
                .init(task: "c", path: casePath("c"), labels: casePath("base/config.json")),
            ])
        #expect(!check.isPossible)
        let obstacles = check.findings.filter(\.isObstacle)
        // The case's base has no preprocessing.
        #expect(obstacles.map(\.subject) == ["base", "a", "gone", "x/y", "c"])
        #expect(obstacles.last?.message.text.contains("class names for a head of") == true)
        let notes = check.findings.filter { !$0.isObstacle }.map { "\($0.subject): \($0.message)" }
        #expect(notes.contains { $0.hasPrefix("rs: rsLoRA") } && notes.contains { $0.hasPrefix("dora: DoRA") })
        #expect(notes.contains { $0.hasPrefix("a: no class names") })
        #expect(notes.contains { $0.hasPrefix("adapters: have different ranks") })
        #expect(check.interference?.pairs.count == 10)
    }

    @Test func withoutABaseAdaptersAreStillLookedAt() throws {
        let check = MergeCheck(
            base: casePath("gone"),
            adapters: [.init(task: "a", path: casePath("a")), .init(task: "b", path: casePath("nowhere"))])
        #expect(check.base == nil && check.interference == nil)
        #expect(check.findings.map(\.subject) == ["base", "base", "b"])
    }
}
