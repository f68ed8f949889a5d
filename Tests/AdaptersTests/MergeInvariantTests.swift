import Adapters
import Compute
import Tensors
import Testing
import VisionTransformers

/// What must hold of merge methods whatever the adapters are.
@Suite struct MergeInvariantTests {
    /// All methods that merge: `base` does not.
    static let methods = MergeMethod.all.filter { $0.name != "base" }
    static let names = methods.map(\.name)
    /// Those that give one adapter back as it is, when nothing is trimmed.
    static let faithful = names.filter { !["core-tsv-iso", "core-iso-c", "core-iso-cts"].contains($0) }
    static let linear = ["sum", "average", "core-sum", "peft-cat"]
    static let core = names.filter { $0.hasPrefix("core-") }

    func method(_ name: String) throws -> MergeMethod { try #require(MergeMethod.named(name)) }

    @Test func namesAreUniqueAndSumIsTheDefault() {
        let all = MergeMethod.all.map(\.name)
        #expect(Set(all).count == all.count && all.first == "sum")
        for method in MergeMethod.all {
            #expect(throws: Never.self, "\(method.name)") { try ConfiguredMethod(method) }
            for parameter in method.parameters {
                guard case .value(let value) = parameter.defaultValue else { continue }
                #expect(throws: Never.self, "\(method.name)") { try ConfiguredMethod(method, [parameter.name: value]) }
            }
            #expect(method.parameters.first?.name == "scale")
        }
    }

    @Test(arguments: faithful) func oneAdapterAtWeightOneIsThatAdapter(_ name: String) throws {
        let task = RandomDeltas.task("t", rank: 3, seed: 5)
        let method = try method(name)
        #expect(relativeDistance(task.deltas, try method.merged([task], method.lossless)) < 1e-12)
        // And half of it at weight ½.
        let half = try method.merged([task.renamed(weight: 0.5)], method.lossless)
        #expect(relativeDistance(try MergeMethod.all[0].merged([task], ["scale": 0.5]), half) < 1e-12)
    }

    @Test func theBaseIsLeftAsItIs() throws {
        #expect(try method("base").merged(RandomDeltas.three()).isEmpty)
    }

    @Test(arguments: linear) func plusAndMinusCancel(_ name: String) throws {
        let task = RandomDeltas.task("t", rank: 3, seed: 5)
        let none = try method(name).merged([task, task.renamed("u", weight: -1)])
        #expect(none.count == 4)
        #expect(none.values.allSatisfy { $0.dense.norm < 1e-12 })
    }

    @Test(arguments: ["average", "ties", "knots-ties", "core-ties", "dare-ties", "peft-ties", "peft-ties-svd", "ctm"])
    func copiesAveragedAreOne(_ name: String) throws {
        let task = RandomDeltas.task("t", rank: 3, seed: 5, without: "b")
        let method = try method(name)
        let copies = (1...4).map { task.renamed("t\($0)") }
        #expect(relativeDistance(task.deltas, try method.merged(copies, method.lossless)) < 1e-12)
    }

    @Test(arguments: names) func theOrderOfAdaptersDoesNotMatter(_ name: String) throws {
        let (method, tasks) = (try method(name), RandomDeltas.three())
        let one = try method.merged(tasks, seed: 3)
        #expect(relativeDistance(one, try method.merged(tasks.reversed(), seed: 3)) < 1e-12)
        #expect(one.allSatisfy { name, delta in delta.shape == RandomDeltas.shapes[name] })
    }

    @Test(arguments: names) func theScaleMultipliesTheResult(_ name: String) throws {
        let (method, tasks) = (try method(name), RandomDeltas.three())
        let one = try method.merged(tasks).mapValues { delta in
            WeightDelta(shape: delta.shape, .dense(-0.25 * delta.dense))
        }
        #expect(relativeDistance(one, try method.merged(tasks, ["scale": -0.25])) < 1e-12)
    }

    @Test(arguments: names) func weightsCount(_ name: String) throws {
        let (method, tasks) = (try method(name), RandomDeltas.three())
        let others = [tasks[0], tasks[1], tasks[2].renamed(weight: 0.2)]
        #expect(relativeDistance(try method.merged(tasks), try method.merged(others)) > 0.01)
    }

    @Test(arguments: names.filter { $0.contains("dare") }) func randomMethodsFollowTheirSeed(_ name: String) throws {
        let (method, tasks) = (try method(name), RandomDeltas.three())
        let one = try method.merged(tasks, seed: 1)
        #expect(relativeDistance(one, try method.merged(tasks, seed: 1)) == 0)
        #expect(relativeDistance(one, try method.merged(tasks, seed: 2)) > 0.1)
    }

    @Test(arguments: names.filter { !$0.contains("peft") })
    func unequalRanksDenseChangesAndMissingTargetsAreMerged(_ name: String) throws {
        var generator = SplitMix64(state: 77)
        let tasks = [
            RandomDeltas.task("a", rank: 2, seed: 1), RandomDeltas.task("b", rank: 5, seed: 2, without: "p"),
            RandomDeltas.task("c", rank: 1, seed: 3, without: "c").mapped { delta in
                let matrix = RandomDeltas.matrix(delta.rows, delta.columns, &generator)
                return WeightDelta(shape: delta.shape, .dense(matrix))
            },
            TaskVector(task: "head alone", weight: 1, deltas: [:]),
            RandomDeltas.task("off", rank: 4, weight: 0, seed: 9),
        ]
        let merged = try method(name).merged(tasks)
        #expect(Set(merged.keys) == Set(RandomDeltas.shapes.keys))
        for (name, delta) in merged {
            #expect(delta.shape == RandomDeltas.shapes[name] && delta.dense.values.allSatisfy(\.isFinite))
            #expect(delta.dense.norm > 0)
        }
    }

    @Test(arguments: names) func nothingAtAllIsNoChange(_ name: String) throws {
        let method = try method(name)
        #expect(try method.merged([]).isEmpty)
        let zero = RandomDeltas.task("t", rank: 3, seed: 1).mapped { $0.zero }
        for tasks in [[zero], [zero, zero.renamed("u")], RandomDeltas.three().map { $0.renamed(weight: 0) }] {
            let merged = try method.merged(tasks)
            #expect(merged.values.allSatisfy { $0.dense.values.allSatisfy { $0 == 0 } })
        }
    }

    @Test func vectorsAreSummedByWeight() throws {
        let tasks = RandomDeltas.three()
        let sum = try #require(try MergeMethod.all[0].merged(tasks)["b"])
        for method in MergeMethod.all where !["average", "base"].contains(method.name) && !method.usesImages {
            let vector = try #require(try method.merged(tasks)["b"])
            #expect(relativeDistance(["b": sum], ["b": vector]) < 1e-12, "\(method.name)")
        }
    }

    @Test func coreSpaceAndSharedBasesLoseNothing() throws {
        let tasks = RandomDeltas.three() + [RandomDeltas.task("wide", rank: 8, seed: 8)]
        let sum = try MergeMethod.all[0].merged(tasks)
        #expect(relativeDistance(sum, try method("core-sum").merged(tasks)) < 1e-12)
        #expect(relativeDistance(sum, try method("peft-cat").merged(tasks)) < 1e-12)
        // A mean of coordinates that agree is task arithmetic when only one task moves each.
        let apart = [RandomDeltas.task("one", rank: 3, seed: 4)]
        #expect(relativeDistance(apart[0].deltas, try method("knots-ties").merged(apart, ["density": 1])) < 1e-12)
    }

    @Test(arguments: core) func coreMethodsAreWellPosed(_ name: String) throws {
        let method = try method(name)
        let tasks = RandomDeltas.three()
        let copies = [tasks[0], tasks[0].renamed("copy"), tasks[1]]
        for tasks in [tasks, copies] {
            var generator = SplitMix64(state: 99)
            func moved(_ matrix: Matrix) -> Matrix {
                let noise = RandomDeltas.matrix(matrix.rows, matrix.columns, &generator)
                return matrix + (1e-9 * matrix.norm / noise.norm) * noise
            }
            // The axes of a core are the factors' own, so for TIES it is they that move; else every element does.
            let moved = tasks[0].mapped { delta in
                guard name == "core-ties", case .lowRank(let b, let a, let scale) = delta.storage else {
                    return WeightDelta(shape: delta.shape, .dense(moved(delta.dense)))
                }
                return WeightDelta(shape: delta.shape, .lowRank(b: moved(b), a: moved(a), scale: scale))
            }
            let distance = relativeDistance(
                try method.merged(tasks), try method.merged([moved] + tasks.dropFirst()))
            #expect(distance < 1e-6)
        }
    }
}

extension WeightDelta {
    /// A change of the same kind that changes nothing.
    var zero: WeightDelta {
        switch storage {
        case .lowRank(let b, let a, let scale): WeightDelta(shape: shape, .lowRank(b: 0 * b, a: a, scale: scale))
        case .dense(let matrix): WeightDelta(shape: shape, .dense(0 * matrix))
        }
    }
}
