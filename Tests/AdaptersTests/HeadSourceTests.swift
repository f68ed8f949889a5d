import Adapters
import Files
import Foundation
import Tensors
import TestSupport
import Testing
import VisionTransformers

/// Where an adapter's tensors, head and class names come from: files of `torch.save`, the base, files of their own,
/// folders below the one that was named.
@Suite struct HeadSourceTests {
    let base: Checkpoint
    let folder: String
    let head = Tensor(shape: [3, 48], values: (0..<144).map { Float($0) / 100 })
    let bias = Tensor(shape: [3], values: [1, 2, 3])

    init() throws {
        base = try Checkpoint(folder: casePath("base"))
        folder = try SharedFolder.subfolder()
    }

    /// Writes an adapter of one module, with more tensors and settings.
    private func adapter(
        _ name: String, _ tensors: [(String, Tensor)] = [], prefix: String = "base_model.model.",
        _ more: JSONObject = [:]
    ) throws -> String {
        let path = "\(folder)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var settings: JSONObject = [
            "peft_type": "LORA", "r": .int(2), "lora_alpha": .int(4), "target_modules": .array([.string("q_proj")]),
            "layers_to_transform": .array([.int(0)]),
        ]
        for (key, value) in more.members { settings[key] = value }
        try write(JSON.object(settings).serialized(), "\(name)/adapter_config.json")
        let module = "vit.layers.0.attention.q_proj"
        let update = [
            ("\(module).lora_A.weight", Tensor(shape: [2, 48], repeating: 0.5)),
            ("\(module).lora_B.weight", Tensor(shape: [48, 2], repeating: 0.25)),
        ]
        try writeSafetensors(
            (update + tensors).map { (prefix + $0.0, $0.1) }, to: path + "/adapter_model.safetensors")
        return path
    }

    private func write(_ text: String, _ name: String) throws {
        try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }

    private func read(_ path: String, _ headFile: String? = nil) throws -> Adapter {
        try Adapter(task: "t", path: path, headFile: headFile, base: base)
    }

    private func said(_ path: String, _ headFile: String? = nil) -> String {
        do { _ = try read(path, headFile) } catch { return "\(error)" }
        return "nothing was thrown"
    }

    @Test func whatTorchSavedIsWhatSafetensorsHold() throws {
        let (saved, other) = (try read(casePath("a")), try read(casePath("a_bin")))
        #expect(saved.head == other.head && saved.modules == other.modules && !saved.modules.isEmpty)
        for module in saved.modules {
            let weight = try base.parameter("\(module).weight")
            #expect(
                saved.delta("\(module).weight", of: weight)?.dense
                    == other.delta("\(module).weight", of: weight)?.dense)
        }
    }

    @Test func safetensorsGoFirst() throws {
        let path = try adapter("both", [("classifier.weight", head), ("classifier.bias", bias)])
        try FileManager.default.copyItem(
            atPath: casePath("a_bin/adapter_model.bin"), toPath: path + "/adapter_model.bin")
        #expect(try read(path).head.weight == head)
    }

    @Test(arguments: ["module.base_model.model.", "base_model.model._orig_mod.", "model."])
    func prefixesOfAllNamesGo(_ prefix: String) throws {
        let path = try adapter("p", [("classifier.weight", head)], prefix: prefix)
        let adapter = try read(path)
        #expect(adapter.head.weight == head && adapter.modules == ["layers.0.attention.q_proj"])
        try writeSafetensors(
            [(prefix + "classifier.weight", head), ("classifier.bias", bias)], to: path + "/adapter_model.safetensors")
        #expect(said(path).contains("have different prefixes"))
    }

    @Test func theBasesHeadAnswersForAnAdapterWithoutOne() throws {
        let path = try adapter("none")
        let adapter = try read(path)
        let own = try #require(try base.head(task: "t"))
        #expect(adapter.head == own && !adapter.hasPlaceholderNames)
        #expect(try adapter.warnings(over: base).contains { $0.text.hasPrefix("no head of its own, so the head of ") })
        try write(#"["x", "y"]"#, "none/labels.json")
        #expect(said(path).contains("2 class names for a head of \(own.classes.count) classes"))
        // A bias that was trained with it, as `bias="all"` saves.
        let biased = try self.adapter("bias", [("classifier.bias", Tensor(shape: own.bias.shape, repeating: 7))])
        #expect(try read(biased).head.bias.values == [Float](repeating: 7, count: own.classes.count))
        #expect(try read(biased).head.weight == own.weight)
        #expect(said(try self.adapter("other", [("classifier.bias", Tensor(shape: [9]))])).contains("found [9]"))
    }

    @Test func aHeadThatWasNotSavedIsMissed() throws {
        let saved: JSONObject = ["modules_to_save": .array([.string("classifier"), .string("score")])]
        let path = try adapter("missing", [], saved)
        #expect(said(path).contains("modules_to_save names classifier, for which the file holds no tensors"))
        try writeSafetensors([("classifier.weight", head)], to: path + "/head.safetensors")
        #expect(try read(path).head.weight == head)
        #expect(
            try read(try adapter("score", [], ["modules_to_save": .array([.string("score")])])).head.classes.count > 0)
    }

    @Test(arguments: [
        "", "classifier.", "base_model.model.classifier.", "base_model.model.classifier.modules_to_save.default.",
        "head.",
        "fc.", "module.fc.", "model.head.", "1.", "classifier.1.", "head.3.", "proj.", "t.",
    ])
    func aHeadInAFileOfItsOwn(_ name: String) throws {
        let (path, file) = (try adapter("none"), "\(folder)/h.safetensors")
        try writeSafetensors([("\(name)weight", head), ("\(name)bias", bias)], to: file)
        let adapter = try read(path, file)
        #expect(adapter.head.weight == head && adapter.head.bias == bias && adapter.hasPlaceholderNames)
        // Over the base as it is, too.
        let alone = try read(file)
        #expect(alone.head.weight == head && alone.head.bias == bias && alone.modules.isEmpty)
        // Names beside the head are found, too.
        try write(#"{"x": 0, "y": 1, "z": 2}"#, "labels.json")
        #expect(try read(path, file).head.classes == ["x", "y", "z"])
    }

    @Test func headsThatAreNotClearAreRefused() throws {
        let (path, file) = (try adapter("none"), "\(folder)/h.safetensors")
        let cases: [([(String, Tensor)], String)] = [
            (
                [("classifier.weight", head), ("head.weight", head)],
                "more than one head: classifier.weight, head.weight"
            ),
            (
                [("0.weight", Tensor(shape: [5, 48])), ("2.weight", Tensor(shape: [3, 5]))], "not a single linear layer"
            ),
            (
                [("pre_classifier.weight", head), ("classifier.weight", head)],
                "\"pre_classifier.weight\" is neither part"
            ),
            ([("weight", Tensor(shape: [48, 3]))], "expected (classes, 48), found [48, 3]"),
            ([("weight", head), ("bias", Tensor(shape: [4]))], "classifier.bias: expected [3], found [4]"),
            ([("weight", Tensor(shape: [3, 48], repeating: .nan))], "not a finite number"),
            ([("x", head)], "no classification head"), ([], "no classification head"),
            ([("bias", bias)], "no classification head"),
        ]
        for (tensors, reason) in cases {
            try writeSafetensors(tensors, to: file)
            #expect(said(path, file).contains(reason), "\(said(path, file)), expected \(reason)")
        }
        #expect(said(path, folder).contains("expected a file with a head"))
        #expect(said(path, "\(folder)/gone.bin").contains("No such file"))
    }

    @Test func headsOfSeveralLayersAreRefusedByTheirSentence() throws {
        let deep = [
            ("classifier.0.weight", Tensor(shape: [24, 48])), ("classifier.2.weight", Tensor(shape: [3, 24])),
        ]
        let path = try adapter("deep", deep)
        #expect(
            said(path).contains("not a single linear layer: classifier.0.weight [24, 48], classifier.2.weight [3, 24]"))
        #expect(try read(try adapter("one", [("classifier.1.weight", head)])).head.weight == head)
        let file = "\(folder)/h.safetensors"
        try writeSafetensors([("weight", head)], to: file)
        let replaced = try read(path, file)
        #expect(replaced.head.weight == head)
        #expect(
            try replaced.warnings(over: base).contains { $0.text.contains("takes the place of the adapter's own head") }
        )
    }

    @Test func theOnlyAdapterBelowAFolderIsFound() throws {
        let inner = try adapter("run/flowers", [("classifier.weight", head)])
        #expect(try read("\(folder)/run").path == inner)
        #expect(try read("\(folder)/run/").path == inner)
        try write("[\"x\", \"y\", \"z\"]", "run/labels.json")
        #expect(try read("\(folder)/run").head.classes == ["x", "y", "z"])
        // A trainer's checkpoint of an adapter that has a name.
        #expect(try read(folder).path == inner)
        #expect(try read(inner + "/adapter_model.safetensors").path == inner)
        let other = try adapter("run/checkpoint-500", [("classifier.weight", head)])
        #expect(
            said("\(folder)/run") == "\(folder)/run: holds 2 adapters; give the one that is meant: \(other), \(inner)")
    }

    @Test func theWrongKindOfThingIsNamed() throws {
        #expect(said(casePath("base")).contains("a whole checkpoint (config.json), not an adapter"))
        let hub = "google/vit-base-patch16-224"
        let error = ModelPath.error(hub, expected: .adapter)
        #expect(error == ModelError(hub, "No such file or directory", remedy: ModelRemedy.download(hub)))
        #expect(said("\(folder)/gone") == "\(folder)/gone: No such file or directory")
        try write("{}", "bundle.json")
        #expect(said(folder).contains("a bundle, not an adapter"))
    }
}
