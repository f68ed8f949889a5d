import Adapters
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

/// Adapters whose head is itself adapted, as PEFT's `all-linear` makes them, and updates that the base cannot take.
@Suite struct AdaptedHeadTests {
    let base: Checkpoint
    init() throws { base = try Checkpoint(folder: casePath("base")) }

    /// Writes an adapter of `targets` with the given tensors.
    func adapter(_ targets: [String], _ tensors: [(name: String, tensor: Tensor)]) throws -> String {
        let folder = try SharedFolder.subfolder()
        let settings: JSONObject = [
            "peft_type": "LORA", "r": .int(2), "lora_alpha": .int(4),
            "target_modules": .array(targets.map(JSON.string)),
        ]
        try JSON.object(settings).serialized()
            .write(toFile: folder + "/adapter_config.json", atomically: true, encoding: .utf8)
        try writeSafetensors(
            tensors.map { ("base_model.model." + $0.name, $0.tensor) }, to: folder + "/adapter_model.safetensors")
        return folder
    }

    func update(_ module: String) -> [(name: String, tensor: Tensor)] {
        [
            ("\(module).lora_A.weight", Tensor(shape: [2, 48], repeating: 0.5)),
            ("\(module).lora_B.weight", Tensor(shape: [module == "classifier" ? 5 : 48, 2], repeating: 0.25)),
        ]
    }

    let query = "vit.layers.0.attention.q_proj"

    @Test func aLowRankUpdateOfTheHeadMakesTheTasksHead() throws {
        let folder = try adapter([query, "classifier"], update(query) + update("classifier"))
        let adapter = try Adapter(task: "t", path: folder, base: base)
        let weight = try base.parameter("classifier.weight")
        // scale 4 / 2 times 2 · 0.25 · 0.5.
        #expect(zip(adapter.head.weight.values, weight.values).allSatisfy { abs($0 - $1 - 0.5) < 1e-6 })
        #expect(try adapter.head.bias == base.parameter("classifier.bias"))
        #expect(adapter.modules == ["layers.0.attention.q_proj"])
    }

    @Test func aWholeHeadAnswersForATargetThatNamesIt() throws {
        let head = [
            (name: "classifier.weight", tensor: Tensor(shape: [3, 48], repeating: 1)),
            (name: "classifier.bias", tensor: Tensor(shape: [3])),
        ]
        let folder = try adapter([query, "classifier"], update(query) + head)
        #expect(try Adapter(task: "t", path: folder, base: base).head.weight == head[0].tensor)
    }

    @Test func aTrainedBiasOfAModuleWithoutOneIsRefused() throws {
        let (plain, bare) = (casePath("base"), try SharedFolder.subfolder())
        var settings = try #require(try JSON(contentsOf: plain + "/config.json").objectValue)
        settings["qkv_bias"] = .bool(false)
        try JSON.object(settings).serialized().write(toFile: bare + "/config.json", atomically: true, encoding: .utf8)
        let file = try SafetensorsFile(path: plain + "/model.safetensors")
        let kept = file.entries.map(\.name).filter { name in
            !["query", "key", "value"].contains { name.hasSuffix("\($0).bias") }
        }
        try writeSafetensors(kept.map { ($0, try file.tensor($0)) }, to: bare + "/model.safetensors")
        let bias = [(name: "\(query).lora_B.bias", tensor: Tensor(shape: [48], repeating: 1))]
        let folder = try adapter([query, "classifier"], update(query) + update("classifier") + bias)
        #expect(throws: Never.self) { try Adapter(task: "t", path: folder, base: base) }
        let error = #expect(throws: ModelError.self) {
            try Adapter(task: "t", path: folder, base: try Checkpoint(folder: bare))
        }
        #expect(error?.reason.contains("lora_B.bias") == true)
    }

    @Test func aBundleThatHoldsAFolderIsNotReplaced() throws {
        let root = try SharedFolder.subfolder()
        let source = root + "/base"
        try FileManager.default.copyItem(atPath: casePath("base"), toPath: source)
        try #"{"size": {"height": 32, "width": 32}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}"#
            .write(toFile: source + "/preprocessor_config.json", atomically: true, encoding: .utf8)
        let merged = try MergedBackbone(
            base: try Checkpoint(folder: source), adapters: [], merge: .sum(1))
        let bundle = root + "/bundle"
        try BundleWriter.write(merged, to: bundle, replaces: false)
        try BundleWriter.write(merged, to: bundle, replaces: true)
        try FileManager.default.createDirectory(atPath: bundle + "/mine", withIntermediateDirectories: false)
        let error = #expect(throws: FileError.self) { try BundleWriter.write(merged, to: bundle, replaces: true) }
        #expect(error?.reason.contains("the folder \"mine\"") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: root).sorted() == ["base", "bundle"])
    }
}
