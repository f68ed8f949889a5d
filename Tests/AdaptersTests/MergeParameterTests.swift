import Adapters
import Compute
import Tensors
import Testing
import VisionTransformers

/// Parameters that make no sense, and adapters that a method cannot merge: refused by name.
@Suite struct MergeParameterTests {
    static let bad: [(method: String, parameter: String, value: Double)] =
        MergeMethod.all.flatMap { method in
            method.parameters.flatMap { parameter -> [(String, String, Double)] in
                var values = [Double.nan, .infinity, parameter.range.upperBound + 1, parameter.range.lowerBound - 1]
                if parameter.isAboveLower { values.append(parameter.range.lowerBound) }
                if parameter.isWhole { values.append(parameter.range.lowerBound + 0.5) }
                return values.map { (method.name, parameter.name, $0) }
            }
        }

    @Test(arguments: bad) func valuesOutOfRangeAreRefused(_ method: String, _ parameter: String, _ value: Double) throws
    {
        let method = try #require(MergeMethod.named(method))
        let error = #expect(throws: SettingError.self) { try MergeSettings([parameter: value], for: method) }
        #expect(error?.reason.hasPrefix("\(parameter): expected ") == true)
    }

    @Test func densityAndRankHaveBounds() throws {
        let ctm = try #require(MergeMethod.named("ctm"))
        for (name, value, words) in [
            ("density", 0.0, "a number above 0, up to 1, found 0.0"), ("density", 1.5, "found 1.5"),
            ("rank", 0, "a whole number from 1 to 65536"), ("rank", 2.5, "found 2.5"),
        ] {
            let error = #expect(throws: SettingError.self) { try MergeSettings([name: value], for: ctm) }
            #expect(error?.reason.contains(words) == true)
        }
        #expect(throws: SettingError.self) { try MergeSettings(["density": 0.5], for: MergeMethod.all[0]) }
    }

    @Test(arguments: MergeMethod.all.map(\.name).filter { $0.hasPrefix("peft-") })
    func whatPEFTCannotMergeIsRefused(_ name: String) throws {
        let method = try #require(MergeMethod.named(name))
        let tasks = RandomDeltas.three()
        let dense = tasks[1].mapped { WeightDelta(shape: $0.shape, .dense($0.dense)) }
        let error = #expect(throws: SettingError.self) { try method.merged([tasks[0], dense]) }
        #expect(error?.reason.contains("t2") == true && error?.reason.hasPrefix(name) == true)

        let uneven = [tasks[0], RandomDeltas.task("wide", rank: 5, seed: 4)]
        if name == "peft-cat" || name.hasSuffix("svd") {
            #expect(try method.merged(uneven).count == 4)
        } else {
            let error = #expect(throws: SettingError.self) { try method.merged(uneven) }
            #expect(error?.reason.contains("t1 has 3, wide has 5") == true)
        }
        // A target that only one adapter has is merged as it is there.
        let partial = [tasks[0], RandomDeltas.task("few", rank: 3, seed: 4, without: "p")]
        #expect(try method.merged(partial).count == 4)
    }

    @Test(arguments: ["ctm", "peft-svd", "peft-ties-svd", "peft-dare-ties-svd", "peft-magnitude-prune-svd"])
    func theRankAskedForIsTheRankGiven(_ name: String) throws {
        let method = try #require(MergeMethod.named(name))
        for rank in [1, 4, 1000] {
            let merged = try method.merged(RandomDeltas.three(), ["rank": Double(rank)])
            for name in ["p", "q", "c"] {
                let delta = try #require(merged[name])
                guard case .lowRank(let b, let a, _) = delta.storage else {
                    Issue.record("\(name) is not of low rank")
                    continue
                }
                #expect(a.rows == b.columns && a.rows <= min(rank, delta.rows, delta.columns))
                #expect(rank > 4 || a.rows == rank)
            }
        }
    }

    @Test func clampCutsLargeFactors() throws {
        let method = try #require(MergeMethod.named("peft-svd"))
        let merged = try method.merged(RandomDeltas.three(), ["clamp": 0.9, "rank": 4])
        guard case .lowRank(let b, let a, _) = try #require(merged["p"]).storage else {
            Issue.record("not of low rank")
            return
        }
        let magnitudes = (b.values + a.values).map(abs)
        #expect(magnitudes.count { $0 == magnitudes.max() } > 5)
    }

    @Test func tiesKeepsTheLargestOfATaskWhereverTheyAre() throws {
        func delta(_ values: [Double]) -> WeightDelta {
            WeightDelta(shape: [10, 10], .dense(Matrix(rows: 10, columns: 10, values: values)))
        }
        // One task; its matrix q is ten times as large as p, so that a tenth of all elements lies in q.
        let task = TaskVector(
            task: "t", weight: 1,
            deltas: [
                "p": delta((1...100).map(Double.init)), "q": delta((1...100).map { -10 * Double($0) }),
            ])
        let method = try #require(MergeMethod.named("ties"))
        let merged = try method.merged([task], ["density": 0.1])
        #expect(merged["p"]?.dense.values.allSatisfy { $0 == 0 } == true)
        #expect(merged["q"]?.dense.values == (1...100).map { $0 > 80 ? -10 * Double($0) : 0 })
    }
}

/// Truncation of matrices that are too large for a whole decomposition.
@Suite struct TruncationTests {
    @Test(arguments: [[200, 150], [150, 200]]) func largeMatricesAreTruncatedAsSmallOnes(_ shape: [Int]) throws {
        var generator = SplitMix64(state: 11)
        let tasks = ["a", "b"].map { name in
            let b = RandomDeltas.matrix(shape[0], 4, &generator)
            let a = RandomDeltas.matrix(4, shape[1], &generator)
            return TaskVector(
                task: name, weight: 1, deltas: ["p": WeightDelta(shape: shape, .lowRank(b: b, a: a, scale: 1))])
        }
        let method = try #require(MergeMethod.named("peft-ties-svd"))
        // At rank 100 the whole decomposition is made, and its leading part is what rank 5 must give.
        let whole = try #require(try method.merged(tasks, ["rank": 100])["p"])
        let cut = try #require(try method.merged(tasks, ["rank": 5])["p"])
        guard case .lowRank(let b, let a, _) = whole.storage, case .lowRank(let cutB, let cutA, _) = cut.storage else {
            Issue.record("not of low rank")
            return
        }
        let expected = b.firstColumns(5) * a.firstRows(5)
        #expect((expected - cutB * cutA).norm < 1e-10 * expected.norm)
        let identity = Matrix.product(cutA, transposed: false, cutA, transposed: true)
        #expect((identity - .diagonal([1, 1, 1, 1, 1])).norm < 1e-10)
    }
}
