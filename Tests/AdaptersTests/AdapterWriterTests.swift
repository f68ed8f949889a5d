import Compute
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Adapters

@Suite struct AdapterWriterTests {
    let base: Checkpoint
    let folder: String

    init() throws {
        base = try Checkpoint(folder: try Self.placedBase())
        folder = try SharedFolder.subfolder()
    }

    /// The case's base with preprocessing, which recipes need.
    private static func placedBase() throws -> String {
        let folder = try SharedFolder.subfolder() + "/base"
        try FileManager.default.copyItem(atPath: casePath("base"), toPath: folder)
        try "{}".write(toFile: folder + "/preprocessor_config.json", atomically: true, encoding: .utf8)
        return folder
    }

    private func merged(_ names: [String], scale: Double = 1) throws -> MergedBackbone {
        try MergedBackbone(
            base: base, adapters: names.map { .init(try Adapter(task: $0, path: casePath($0), base: base)) },
            merge: try .sum(scale))
    }

    private func largestDifference(_ a: [String: WeightDelta], _ b: [String: WeightDelta]) -> Double {
        guard a.keys == b.keys else { return .infinity }
        return a.map { name, delta in
            zip(delta.dense.values, b[name]?.dense.values ?? []).map { abs($0 - $1) }.max() ?? .infinity
        }.max() ?? .infinity
    }

    @Test(arguments: ModuleNames.allCases) func aSumComesBackAsItWas(_ names: ModuleNames) throws {
        let merge = try merged(["a", "b", "rs", "pattern", "wide"], scale: 0.5)
        let result = try AdapterWriter.write(merge, to: folder + "/out", names: names, replaces: false)
        #expect(result.energy == 1 && result.worst == nil && result.modules == 6 && result.ranks == 22...24)
        let read = try Adapter.deltas(in: folder + "/out", base: base)
        #expect(largestDifference(read, merge.deltas) < 1e-6)
        // Several heads are beside it, as in a bundle; PEFT could hold one.
        let heads = try SafetensorsFile(path: folder + "/out/heads.safetensors")
        #expect(heads.entries.count == 10)
        #expect(throws: ModelError.self) { try Adapter(task: "x", path: folder + "/out", base: base) }
    }

    @Test(arguments: ["a", "pattern", "rs", "dora"]) func oneAdapterKeepsItsHeadAndNames(_ name: String) throws {
        let merge = try merged([name])
        let result = try AdapterWriter.write(merge, to: folder + "/out", replaces: false)
        #expect(result.energy > 1 - 1e-12)
        let read = try Adapter(task: name, path: folder + "/out", base: base)
        #expect(read.head == merge.adapters[0].adapter.head && !read.hasPlaceholderNames)
        #expect(largestDifference(try Adapter.deltas(in: folder + "/out", base: base), merge.deltas) < 1e-6)
    }

    @Test func aSmallerRankIsTheBestOne() throws {
        let merge = try merged(["a", "b"])
        let result = try AdapterWriter.write(merge, to: folder + "/out", rank: 3, replaces: false)
        #expect(result.ranks == 3...3)
        let read = try Adapter.deltas(in: folder + "/out", base: base)
        var (whole, lost) = (0.0, 0.0)
        var least = (module: "", energy: 1.0)
        for (name, delta) in merge.deltas {
            let values = try delta.dense.singularValueDecomposition().values.map { $0 * $0 }
            let (all, cut) = (values.reduce(0, +), values.dropFirst(3).reduce(0, +))
            let kept = try #require(read[name]).dense
            let difference = (delta.dense - kept).norm
            #expect(abs(difference * difference - cut) < 1e-6 * all)
            if 1 - cut / all < least.energy { least = (String(name.dropLast(7)), 1 - cut / all) }
            (whole, lost) = (whole + all, lost + cut)
        }
        #expect(abs(result.energy - (1 - lost / whole)) < 1e-9)
        #expect(result.worst?.module == least.module)
    }

    @Test func whatLoRACannotHoldIsNamed() throws {
        let vector = MergeMethod("x", formula: "", source: "") { _ in
            [
                "layers.0.norm1.weight": WeightDelta(shape: [48], .dense(Matrix(rows: 48, columns: 1, repeating: 1))),
                "layers.1.norm1.bias": WeightDelta(shape: [48], .dense(Matrix(rows: 48, columns: 1))),
            ]
        }
        func refused(_ merge: MergedBackbone, _ reason: String) {
            do {
                try AdapterWriter.write(merge, to: folder + "/out", replaces: false)
                Issue.record("written")
            } catch { #expect("\(error)".contains(reason), "\(error)") }
        }
        refused(
            try MergedBackbone(base: base, adapters: [], merge: ConfiguredMethod(vector)),
            "LoRA cannot hold the merged delta of layers.0.norm1.weight; ")
        refused(try merged(["a"], scale: 0), "changes nothing")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test func onlyWhatWasWrittenHereIsReplaced() throws {
        let (merge, place) = (try merged(["a"]), folder + "/out")
        try FileManager.default.copyItem(atPath: casePath("a"), toPath: place)
        #expect(throws: FileError.self) { try AdapterWriter.write(merge, to: place, replaces: true) }
        try FileManager.default.removeItem(atPath: place)
        try AdapterWriter.write(merge, to: place, replaces: false)
        #expect(throws: OutputError.exists(path: BytePath(place))) {
            try AdapterWriter.write(merge, to: place, replaces: false)
        }
        try AdapterWriter.write(merge, to: place, replaces: true)
    }
}
