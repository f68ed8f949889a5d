import Adapters
import Compute
import Tensors
import Testing
import VisionTransformers

/// Parameters that make no sense, and adapters that a method cannot merge: refused by name.
@Suite struct MergeParameterTests {
    static let parameters = MergeMethod.all.flatMap { method in method.parameters.map { (method.name, $0.name) } }

    @Test(arguments: parameters) func valuesOutOfRangeAreRefused(_ method: String, _ name: String) throws {
        let method = try #require(MergeMethod.named(method))
        let parameter = try #require(method.parameters.first { $0.name == name })
        var bad: [MergeParameter.Value] = []
        switch parameter.kind {
        case .number(let range, let isAboveLower):
            bad = [.nan, .infinity, range.upperBound + 1, range.lowerBound - 1].map { .number($0) }
            if isAboveLower { bad.append(.number(range.lowerBound)) }
            bad += [.flag(true), .choice("x")]
        case .count(let range):
            bad = [.count(range.upperBound + 1), .count(range.lowerBound - 1), .number(1.5), .flag(true)]
        case .choice: bad = [.choice("x"), .count(0), .number(1)]
        case .flag: bad = [.count(0), .choice("yes")]
        }
        for value in bad {
            let error = #expect(throws: ParameterError.self) { try ConfiguredMethod(method, [name: value]) }
            #expect("\(try #require(error))".hasPrefix("\(name): expected "))
        }
    }

    @Test func textsAreReadByTheKindOfTheParameter() throws {
        func read(_ method: String, _ name: String, _ text: String) throws -> MergeParameter.Value {
            let parameters = MergeMethod.named(method)?.parameters ?? DistillationSettings.parameters
            return try #require(parameters.first { $0.name == name }).value(text)
        }
        #expect(try read("ties", "density", "0.25") == .number(0.25))
        #expect(try read("ctm", "rank", "8") == .count(8))
        #expect(try read("peft-ties", "majority", "frequency") == .choice("frequency"))
        #expect(try read("distill", "flip", "no") == .flag(false) && read("distill", "flip", "True") == .flag(true))
        for (method, name, text, words) in [
            ("ties", "density", "0", "expected a number above 0, up to 1, found 0"),
            ("ties", "density", "x", "found x"), ("ties", "density", "nan", "found nan"),
            ("ctm", "rank", "2.5", "a whole number from 1 to 65536, found 2.5"),
            (
                "peft-ties", "majority", "frequncy",
                "expected total or frequency, found frequncy; did you mean frequency?"
            ),
            ("peft-svd", "rank", "0", "from 1 to 65536, or nothing for the largest rank of the adapters, found 0"),
            ("distill", "flip", "1", "expected yes or no, found 1"),
        ] {
            let error = #expect(throws: ParameterError.self) { try read(method, name, text) }
            #expect("\(try #require(error))".contains(words), "\(String(describing: error))")
        }
        let error = #expect(throws: ParameterError.self) {
            try ConfiguredMethod(#require(MergeMethod.named("ties")), ["densty": 0.5])
        }
        #expect(
            error?.description
                == "ties has no parameter \"densty\" (did you mean \"density\"?); it has scale, density")
        #expect(throws: ParameterError.self) { try ConfiguredMethod(MergeMethod.all[0], ["density": 0.5]) }
        #expect(throws: UnknownMethod.self) { try MergeMethod.required("tise") }
    }

    @Test(arguments: MergeMethod.all.map(\.name).filter { $0.hasPrefix("peft-") })
    func whatPEFTCannotMergeIsRefused(_ name: String) throws {
        let method = try #require(MergeMethod.named(name))
        let tasks = RandomDeltas.three()
        let dense = tasks[1].mapped { WeightDelta(shape: $0.shape, .dense($0.dense)) }
        let error = #expect(throws: MergeMethodError.self) { try method.merged([tasks[0], dense]) }
        #expect(error?.reason.contains("t2") == true && error?.reason.hasPrefix(name) == true)

        let uneven = [tasks[0], RandomDeltas.task("wide", rank: 5, seed: 4)]
        if name == "peft-cat" || name.hasSuffix("svd") {
            #expect(try method.merged(uneven).count == 4)
        } else {
            let error = #expect(throws: MergeMethodError.self) { try method.merged(uneven) }
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
            let merged = try method.merged(RandomDeltas.three(), ["rank": .count(rank)])
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
