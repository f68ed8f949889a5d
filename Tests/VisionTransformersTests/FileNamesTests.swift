import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// What precedes every name in a file, and heads that are a layer in a `Sequential`.
@Suite struct FileNamesTests {
    @Test(arguments: [
        ("vit.layernorm.weight", "vit.layernorm.weight"), ("module.vit.layernorm.weight", "vit.layernorm.weight"),
        ("_orig_mod.module.model.vit.x", "vit.x"), ("base_model.model.vit.x", "vit.x"),
        ("module.base_model.model.vit.x", "vit.x"), ("base_model.model.module._orig_mod.vit.x", "vit.x"),
        ("weight", "weight"), ("module.weight", "weight"), ("modules.x", "modules.x"), ("models.x", "models.x"),
    ])
    func prefixesGo(_ name: String, _ bare: String) { #expect(FileNames.bare(name) == bare) }

    @Test(arguments: ["module.", "_orig_mod.", "model.", "module._orig_mod."])
    func aWrappedCheckpointIsTheSame(_ prefix: String) throws {
        let draft = try CheckpointDraft()
        let (bare, wrapped) = (try draft.written(), try draft.renamed { prefix + $0 }.written())
        #expect(try sameParameters(Checkpoint(folder: wrapped.path), Checkpoint(folder: bare.path)))
        // One that has no prefix among those that have.
        let first = draft.tensors[0].name
        let mixed = try draft.renamed { $0 == first ? $0 : prefix + $0 }.written()
        let said = message { _ = try Checkpoint(folder: mixed.path) }
        #expect(said.contains("have different prefixes") && said.contains("\"\(first)\""), "\(said)")
    }

    @Test func namesOfAnotherSchemeAreShown() throws {
        let folder = try CheckpointDraft().renamed { "backbone." + $0 }.written()
        let said = message { _ = try Checkpoint(folder: folder.path) }
        #expect(said.contains("is missing; the file has \"backbone."), "\(said)")
    }

    @Test func oneLinearLayerInASequentialIsTheHead() throws {
        func names(_ shapes: [String: [Int]]) -> [String: String]? { try? HeadNames.linear(shapes, path: "") }
        #expect(
            names(["classifier.weight": [3, 8], "classifier.bias": [3]])?["classifier.weight"] == "classifier.weight")
        #expect(
            names(["classifier.1.weight": [3, 8], "classifier.1.bias": [3]])
                == ["classifier.1.weight": "classifier.weight", "classifier.1.bias": "classifier.bias"])
        #expect(names(["classifier.3.weight": [3, 8]]) == ["classifier.3.weight": "classifier.weight"])
        for shapes in [
            ["classifier.0.weight": [4, 8], "classifier.2.weight": [3, 4]], ["classifier.0.weight": [8]],
            ["classifier.0.weight": [8], "classifier.1.weight": [3, 8]],
            ["classifier.1.weight": [3, 8], "classifier.1.running_mean": [3]],
            ["classifier.weight": [3, 8], "classifier.1.weight": [3, 8]],
        ] {
            let said = message { _ = try HeadNames.linear(shapes, path: "FILE") }
            #expect(
                said.hasPrefix("FILE: the head is not a single linear layer: classifier") && !said.contains("--head"))
        }
        let plain = try CheckpointDraft()
        var draft = plain.renamed { $0.replacing("classifier.", with: "classifier.1.") }
        let (one, other) = (try plain.written(), try draft.written())
        let head = try Checkpoint(folder: one.path).head(task: "t")
        #expect(try Checkpoint(folder: other.path).head(task: "t")?.weight == head?.weight && head != nil)
        draft.tensors.append(.init("classifier.3.weight", shape: [3, 3]))
        let deep = try draft.written()
        #expect(message { _ = try ModelBundle(folder: deep.path) }.contains("not a single linear layer"))
    }
}
