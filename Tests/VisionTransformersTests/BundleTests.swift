import Files
import Foundation
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

@Suite struct BundleTests {
    /// A bundle as `merge` writes it, with tasks `a` of 7 classes and `b` of 2.
    struct Draft {
        var base: CheckpointDraft
        var manifest: JSONObject
        var heads: [(name: String, tensor: Tensor)]

        init(_ model: String = "vit", width: Int = 48) throws {
            base = try CheckpointDraft(model)
            let classes = (0..<7).map { JSON.string("a\($0)") }
            manifest = [
                "format": "mergevit-bundle", "format_version": .int(1),
                "tasks": .array([
                    .object(["name": "a", "classes": .array(classes)]),
                    .object(["name": "b", "classes": .array(["no", "yes"])]),
                ]),
            ]
            let weight = try Checkpoint(folder: caseFolder(model)).parameter("classifier.weight")
            let rows = (0..<7).flatMap { weight.values[$0 * weight.shape[1]..<$0 * weight.shape[1] + width] }
            heads = [
                ("a.weight", Tensor(shape: [7, width], values: rows)), ("a.bias", Tensor(shape: [7], repeating: 0.5)),
                ("b.weight", Tensor(shape: [2, width], values: rows[..<(2 * width)].map { -$0 })),
                ("b.bias", Tensor(shape: [2])),
            ]
        }

        func written() throws -> TemporaryFolder {
            var backbone = base
            backbone.tensors = base.backbone
            let folder = try backbone.written()
            try folder.write("bundle.json", JSON.object(manifest).serialized())
            try writeSafetensors(heads, to: "\(folder.path)/heads.safetensors")
            return folder
        }

        /// What is said when it is opened.
        func said() throws -> String {
            let folder = try written()
            return message { _ = try ModelBundle(folder: folder.path) }.replacing(folder.path, with: "FOLDER")
        }

        /// Changes the name of task `b`, in the manifest and in the file.
        mutating func rename(_ name: String) {
            guard var tasks = manifest["tasks"]?.arrayValue, var task = tasks[1].objectValue else { return }
            task["name"] = .string(name)
            tasks[1] = .object(task)
            manifest["tasks"] = .array(tasks)
            heads = heads.map { ($0.name.replacing("b.", with: "\(name)."), $0.tensor) }
        }
    }

    /// The logits of a bundle for three pictures of noise.
    func logits(_ folder: String) throws -> [Float] {
        let model = try ModelBundle(folder: folder).model(threads: 1)
        let inputs = (0..<3 * model.inputCount).map { Float(($0 * 7919) % 251) / 125 - 1 }
        var logits = [Float](repeating: 0, count: 3 * model.classCount)
        try model.run(inputs, images: 3, logits: &logits)
        return logits
    }

    @Test func tasksKeepTheirOrderAndAnswerAsTheyDoAlone() throws {
        let draft = try Draft()
        let both = try draft.written()
        #expect(try ModelBundle(folder: both.path).heads.map(\.task) == ["a", "b"])
        let together = try logits(both.path)
        for (task, range) in [(0, 0..<7), (1, 7..<9)] {
            var alone = draft
            alone.manifest["tasks"] = (draft.manifest["tasks"]?.arrayValue?[task]).map { .array([$0]) }
            alone.heads = Array(draft.heads[task * 2..<task * 2 + 2])
            let folder = try alone.written()
            let apart = try logits(folder.path)
            for image in 0..<3 {
                let expected = apart[image * range.count..<(image + 1) * range.count]
                let found = together[image * 9 + range.lowerBound..<image * 9 + range.upperBound]
                #expect(zip(expected, found).allSatisfy { abs($0 - $1) < 1e-5 })
            }
        }
    }

    @Test(arguments: ["dinov2", "deit"]) func aHeadOverTheClassTokenIgnoresTheOtherPart(_ model: String) throws {
        let narrow = try Draft(model)
        var wide = narrow
        for index in [0, 2] {
            let (name, tensor) = narrow.heads[index]
            let rows = (0..<tensor.shape[0]).flatMap { row in
                tensor.values[row * 48..<(row + 1) * 48] + [Float](repeating: 0, count: 48)
            }
            wide.heads[index] = (name, Tensor(shape: [tensor.shape[0], 96], values: rows))
        }
        let (one, other) = (try narrow.written(), try wide.written())
        // The last block is computed for other tokens, whose sums may be in another order.
        #expect(zip(try logits(one.path), try logits(other.path)).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test(arguments: ["5", "0", "-1", "12", #""1""#, "1.5", "null", "[1]"])
    func otherVersionsAreRefused(_ version: String) throws {
        var draft = try Draft()
        draft.manifest["format_version"] = try JSON(parsing: Array(version.utf8))
        #expect(try draft.said() == "FOLDER/bundle.json: format_version: expected 1 to 4, found \(version)")
        draft.manifest["format_version"] = nil
        #expect(try draft.said() == "FOLDER/bundle.json: format_version: expected 1 to 4, found none")
    }

    @Test(arguments: ["", "x=y", "x,y", "x/y", "x:y", "path", "status", "x\ny", "x\u{7F}"])
    func namesThatCannotBeColumnsAreRefused(_ name: String) throws {
        var draft = try Draft()
        draft.rename(name)
        #expect(try draft.said().contains("task name \"\(name)\""))
    }

    @Test(arguments: ["b.", "é 日本", "B", "a.weight", "x-1_2"]) func otherNamesAreFine(_ name: String) throws {
        var draft = try Draft()
        draft.rename(name)
        let folder = try draft.written()
        #expect(try ModelBundle(folder: folder.path).heads.map(\.task) == ["a", name])
    }

    @Test(arguments: [
        ("[]", "belongs to no task"), ("{}", "no \"tasks\" array"), ("[1]", "expected objects"),
        (#"[{"name": "a"}]"#, "expected objects"), (#"[{"classes": ["x"]}]"#, "expected objects"),
        (#"[{"name": 1, "classes": ["x"]}]"#, "expected objects"),
        (#"[{"name": "a", "classes": ["x", "y"]}]"#, "7 classes in the weight, 2 class names"),
        (#"[{"name": "a", "classes": [1, 2, 3, 4, 5, 6, 7]}]"#, "expected strings"),
        (#"[{"name": "b", "classes": ["x", "y"]}, {"name": "b", "classes": ["x", "y"]}]"#, "\"b\" appears twice"),
        (#"[{"name": "b", "classes": ["x", "y"]}]"#, "\"a.weight\" belongs to no task"),
        (#"[{"name": "c", "classes": ["x", "y"]}]"#, "c.weight"),
    ])
    func tasksThatDoNotFitTheHeadsAreRefused(_ tasks: String, _ reason: String) throws {
        var draft = try Draft()
        draft.manifest["tasks"] = try JSON(parsing: Array(tasks.utf8))
        let said = try draft.said()
        #expect(said.hasPrefix("FOLDER/") && said.contains(reason), "\(said)")
    }

    @Test func headsOfAnotherShapeAreRefused() throws {
        for (index, shape, reason) in [
            (0, [7, 40], "expected (7, 48) or (7, 96), found [7, 40]"),
            (0, [336], "expected (7, 48) or (7, 96), found [336]"),
            (0, [6, 48], "not those of a linear layer"), (1, [6], "not those of a linear layer"),
            (1, [7, 1], "not those of a linear layer"), (0, [7, 144], "expected (7, 48) or (7, 96)"),
        ] {
            var draft = try Draft()
            draft.heads[index].tensor = Tensor(shape: shape)
            let said = try draft.said()
            #expect(said.hasPrefix("FOLDER/heads.safetensors: ") && said.contains(reason), "\(said)")
        }
    }

    @Test(arguments: ["heads.safetensors", "preprocessor_config.json", "config.json", "model.safetensors"])
    func everyFileIsNeeded(_ name: String) throws {
        let folder = try Draft().written()
        try folder.remove(name)
        let said = message { _ = try ModelBundle(folder: folder.path) }
        #expect(said.hasPrefix(folder.path) && said.contains(name), "\(said)")
    }

    @Test func aBackboneWithoutAHeadIsNoBundle() throws {
        let folder = try Draft().written()
        try folder.remove("bundle.json")
        #expect(
            message { _ = try ModelBundle(folder: folder.path) }
                == "\(folder.path): neither a bundle (no bundle.json) nor a checkpoint with a classifier")
    }

    @Test func aPlainCheckpointIsABundleOfOneTask() throws {
        let bundle = try ModelBundle(folder: caseFolder("vit"))
        #expect(bundle.manifest == nil && bundle.heads.map(\.task) == ["label"])
        #expect(bundle.heads.first?.classes.count == 7)
    }
}
