import Files
import Foundation
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Bundles of several backbones.
@Suite struct GroupedModelTests {
    let draft: BundleTests.Draft
    init() throws { draft = try BundleTests.Draft() }

    /// A bundle of tasks `a` and `b` with the given groups, and the same backbone, but for one tensor, in `group2`.
    func written(_ groups: String, version: Int = 2, change: (inout CheckpointDraft) -> Void = { _ in }) throws
        -> TemporaryFolder
    {
        var draft = draft
        draft.manifest["format_version"] = .int(version)
        draft.manifest["groups"] = try JSON(parsing: Array(groups.utf8))
        let folder = try draft.written()
        try FileManager.default.createDirectory(atPath: "\(folder.path)/group2", withIntermediateDirectories: false)
        let other = try backbone(change)
        for name in ["config.json", "model.safetensors"] {
            try FileManager.default.copyItem(atPath: "\(other.path)/\(name)", toPath: "\(folder.path)/group2/\(name)")
        }
        return folder
    }

    /// The backbone of the second group by itself.
    func backbone(_ change: (inout CheckpointDraft) -> Void = { _ in }) throws -> TemporaryFolder {
        var backbone = draft.base
        backbone.tensors = draft.base.backbone
        for index in backbone.tensors.indices where backbone.tensors[index].name.hasSuffix("dense.weight") {
            backbone.tensors[index].bytes = [UInt8](repeating: 0, count: backbone.tensors[index].bytes.count)
        }
        change(&backbone)
        return try backbone.written()
    }

    func said(_ groups: String, version: Int = 2, change: (inout CheckpointDraft) -> Void = { _ in }) throws -> String {
        let folder = try written(groups, version: version, change: change)
        return message { _ = try ModelBundle(folder: folder.path) }.replacing(folder.path, with: "FOLDER")
    }

    /// The logits and hidden states of five pictures of noise.
    func answers(_ folder: String, threads: Int = 1, batch: Int = 5) throws -> (logits: [Float], hidden: [Float]) {
        let model = try ModelBundle(folder: folder).model(threads: threads, outputs: .allTokens)
        let inputs = (0..<5 * model.inputCount).map { Float(($0 * 7919) % 251) / 125 - 1 }
        let hiddenCount = model.hiddenShape.reduce(1, *)
        var all: [Float] = []
        var hidden: [Float] = []
        for start in stride(from: 0, to: 5, by: batch) {
            let images = min(batch, 5 - start)
            var logits = [Float](repeating: .nan, count: images * model.classCount)
            hidden = [Float](repeating: .nan, count: images * model.groupCount * hiddenCount)
            try inputs[(start * model.inputCount)...].withUnsafeBufferPointer { inputs in
                try model.run(try #require(inputs.baseAddress), images: images, logits: &logits, hidden: &hidden)
            }
            all += logits
        }
        return (all, hidden)
    }

    /// The bundle of one task over a backbone.
    func alone(_ task: Int, over backbone: TemporaryFolder?) throws -> TemporaryFolder {
        var single = draft
        single.manifest["tasks"] = (draft.manifest["tasks"]?.arrayValue?[task]).map { .array([$0]) }
        single.heads = Array(draft.heads[task * 2..<task * 2 + 2])
        let folder = try single.written()
        if let backbone {
            try folder.remove("model.safetensors")
            try FileManager.default.copyItem(
                atPath: "\(backbone.path)/model.safetensors", toPath: "\(folder.path)/model.safetensors")
        }
        return folder
    }

    @Test(arguments: [(#"[["a"], ["b"]]"#, [0, 1]), (#"[["b"], ["a"]]"#, [1, 0])])
    func tasksAnswerAsInABundleOfTheirGroup(_ groups: String, _ places: [Int]) throws {
        let folder = try written(groups)
        let bundle = try ModelBundle(folder: folder.path)
        #expect(bundle.groups.map(\.tasks) == places.map { [$0] } && bundle.heads.map(\.task) == ["a", "b"])
        let other = try backbone()
        let found = try answers(folder.path)
        for (group, task) in places.enumerated() {
            let single = try alone(task, over: group == 0 ? nil : other)
            let expected = try answers(single.path)
            let columns = task == 0 ? 0..<7 : 7..<9
            for image in 0..<5 {
                #expect(
                    Array(found.logits[image * 9 + columns.lowerBound..<image * 9 + columns.upperBound])
                        == Array(expected.logits[image * columns.count..<(image + 1) * columns.count]))
            }
            let count = expected.hidden.count
            #expect(Array(found.hidden[group * count..<(group + 1) * count]) == expected.hidden)
        }
        #expect(found.hidden.prefix(found.hidden.count / 2) != found.hidden.suffix(found.hidden.count / 2))
    }

    @Test func groupsThatNobodyAsksForAreLeftOut() throws {
        let folder = try written(#"[["b"], ["a"]]"#)
        let bundle = try ModelBundle(folder: folder.path)
        for (wanted, groups, tasks) in [
            (nil, 2, ["a", "b"]), (["a"], 1, ["a"]), (["b"], 1, ["b"]), (["b", "a", "b"], 2, ["a", "b"]),
            (["a", "c"], 2, ["a", "b"]), ([], 2, ["a", "b"]),
        ] as [([String]?, Int, [String])] {
            let model = try bundle.model(threads: 1, for: wanted)
            #expect(model.groupCount == groups && model.heads.map(\.task) == tasks)
        }
    }

    @Test func oneGroupIsTheBundleWithoutGroups() throws {
        let (plain, grouped) = (try draft.written(), try written(#"[["a", "b"]]"#))
        #expect(try answers(plain.path).logits == answers(grouped.path).logits)
        // Heads in another order are the same to rounding.
        let turned = try written(#"[["b", "a"]]"#)
        let pairs = zip(try answers(plain.path).logits, try answers(turned.path).logits)
        #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func batchesAndThreadsDoNotChangeABit() throws {
        let folder = try written(#"[["b"], ["a"]]"#)
        let expected = try answers(folder.path).logits
        for (threads, batch) in [(1, 1), (2, 5), (3, 2), (5, 3)] {
            #expect(try answers(folder.path, threads: threads, batch: batch).logits == expected)
        }
    }

    @Test(arguments: [
        ("null", "expected an array of arrays of task names"), ("[]", "expected an array of arrays of task names"),
        (#"{"a": "b"}"#, "expected an array of arrays of task names"),
        (#"["a", "b"]"#, "expected an array of task names, found \"a\""),
        (#"[["a"], [1, "b"]]"#, "expected a task name, found 1"), (#"[["a", "b"], []]"#, "a group without tasks"),
        (#"[["a"], ["b"], ["a"]]"#, "3 groups for 2 tasks"), (#"[["a"], ["c"]]"#, "\"c\" is not a task"),
        (#"[["a"], ["b", "a"]]"#, "\"a\" appears twice"), (#"[["a"]]"#, "the task \"b\" is in none"),
    ])
    func groupsThatDoNotFitTheTasksAreRefused(_ groups: String, _ reason: String) throws {
        #expect(try said(groups) == "FOLDER/bundle.json: groups: \(reason)")
    }

    @Test func groupsAndVersionBelongTogether() throws {
        #expect(
            try said(#"[["a"], ["b"]]"#, version: 1)
                == "FOLDER/bundle.json: groups: expected only with format_version 2 and later")
        var draft = draft
        draft.manifest["format_version"] = .int(2)
        #expect(try draft.said() == "FOLDER/bundle.json: groups: expected an array of arrays of task names")
    }

    @Test func aGroupsBackboneMustBeThereAndLikeTheFirst() throws {
        for name in ["config.json", "model.safetensors"] {
            let folder = try written(#"[["a"], ["b"]]"#)
            try folder.remove("group2/\(name)")
            let said = message { _ = try ModelBundle(folder: folder.path) }
            #expect(said.hasPrefix("\(folder.path)/group2") && said.contains(name), "\(said)")
        }
        let folder = try written(#"[["a"], ["b"]]"#)
        try folder.remove("group2")
        #expect(message { _ = try ModelBundle(folder: folder.path) }.hasPrefix("\(folder.path)/group2/config.json: "))
        #expect(
            try said(#"[["a"], ["b"]]"#) { $0.configuration["num_attention_heads"] = .int(2) }.replacing(
                /is \d+, that of the first group is \d+/, with: "differs")
                == "FOLDER/group2/config.json: attention heads differs")
        #expect(
            try said(#"[["a"], ["b"]]"#) { $0.tensors.removeLast() }.hasPrefix("FOLDER/group2"))
    }

    @Test func onlyGroupsFoldersAreNamedSo() {
        #expect((0..<3).map(ModelBundle.groupFolder) == [nil, "group2", "group3"])
        for name in ["group2", "group17"] { #expect(ModelBundle.isGroupFolder(name)) }
        for name in ["group", "group1", "group0", "group02", "group+2", "group-2", "group2x", "mine", "Group2"] {
            #expect(!ModelBundle.isGroupFolder(name), "\(name)")
        }
    }

    @Test func everyHeadNeedsAGroup() throws {
        let folder = try draft.written()
        let bundle = try ModelBundle(folder: folder.path)
        for tasks in [[[0]], [[0, 1], [1]], [[0], [2]], []] {
            let said = message {
                _ = try GroupedModel(
                    tasks.map { TaskGroup(backbone: BackboneWeights(bundle.backbone), tasks: $0) },
                    configuration: bundle.backbone.configuration,
                    heads: bundle.heads, imageSize: bundle.backbone.configuration.imageSize, threads: 1)
            }
            #expect(said.contains("expected each of the 2 heads in exactly one group"), "\(said)")
        }
    }
}
