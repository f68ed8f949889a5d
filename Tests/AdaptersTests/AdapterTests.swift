import Adapters
import Compute
import Files
import Foundation
import Glibc
import Images
import Tensors
import TestSupport
import Testing
import VisionTransformers

/// A file or folder among the test's cases: what PEFT wrote.
func casePath(_ name: String) -> String { (Foundation.Bundle.module.resourcePath ?? ".") + "/Cases/" + name }

extension ConfiguredMethod {
    /// The weighted sum at a scale.
    static func sum(_ scale: Double) throws -> ConfiguredMethod {
        try ConfiguredMethod(MergeMethod.all[0], ["scale": .number(scale)])
    }
}

func largestDifference(_ a: [Double], _ b: [Float]) -> Double {
    a.count == b.count ? zip(a, b).map { abs($0 - Double($1)) }.max() ?? 0 : .infinity
}

@Suite struct AdapterTests {
    let base: Checkpoint
    init() throws { base = try Checkpoint(folder: casePath("base")) }

    static let singles = ["a", "b", "c", "wide", "rs", "pattern", "dora"]

    @Test(arguments: singles) func denseDeltaMatchesPEFT(_ name: String) throws {
        let adapter = try Adapter(task: name, path: casePath(name), base: base)
        let expected = try SafetensorsFile(path: casePath("single_\(name).safetensors"))
        var compared = 0
        for entry in expected.entries where entry.name.hasSuffix(".weight") {
            let parameter = BackboneFamily.vit.names.canonical(entry.name)
            let delta = try #require(adapter.delta(parameter, of: try base.parameter(parameter)))
            #expect(
                largestDifference(delta.dense.values, try expected.tensor(entry.name).values) < 1e-5, "\(entry.name)")
            compared += 1
        }
        #expect(compared == 6)
        #expect(
            adapter.delta(
                "layers.0.attention.k_proj.weight", of: try base.parameter("layers.0.attention.k_proj.weight")) == nil)
    }

    @Test(arguments: singles) func mergedForwardMatchesPEFT(_ name: String) throws {
        let adapter = try Adapter(task: name, path: casePath(name), base: base)
        let io = try SafetensorsFile(path: casePath("single_\(name).safetensors"))
        let logits = try forward([WeightedAdapter(adapter)], io.tensor("pixel_values"))
        #expect(largestDifference(logits.map(Double.init), try io.tensor("logits").values) < 1e-4)
    }

    /// Logits of a merge with the heads of its adapters.
    func forward(_ adapters: [WeightedAdapter], _ pixels: Tensor) throws -> [Float] {
        let merged = try MergedBackbone(
            base: base, adapters: adapters, merge: try .sum(1))
        let model = try MultitaskModel(
            merged, configuration: base.configuration, heads: adapters.map(\.adapter.head),
            imageSize: .init(height: 32, width: 32), threads: 1)
        let images = pixels.shape[0]
        var inputs: [Float] = []
        for image in 0..<images {
            for patch in 0..<16 {
                for index in 0..<192 {
                    let (channel, y, x) = (index / 64, patch / 4 * 8 + index % 64 / 8, patch % 4 * 8 + index % 8)
                    inputs.append(pixels.values[((image * 3 + channel) * 32 + y) * 32 + x])
                }
            }
        }
        var logits = [Float](repeating: 0, count: images * model.classCount)
        try model.run(inputs, images: images, logits: &logits)
        return logits
    }

    @Test func namesOfTransformers4And5MeanTheSame() throws {
        let new = try Adapter(task: "a", path: casePath("a"), base: base)
        let old = try Adapter(task: "a", path: casePath("a_oldnames"), base: base)
        #expect(new.modules == old.modules)
        for module in new.modules {
            let weight = try base.parameter("\(module).weight")
            #expect(
                new.delta("\(module).weight", of: weight)?.dense == old.delta("\(module).weight", of: weight)?.dense)
        }
        #expect(new.head == old.head)
    }

    @Test func plusAndMinusCancelAndOrderDoesNotMatter() throws {
        let adapters = try ["a", "b", "wide", "dora"].map { try Adapter(task: $0, path: casePath($0), base: base) }
        let again = try Adapter(task: "again", path: casePath("a"), base: base)
        let name = "layers.1.mlp.fc1.weight"
        let none = try MergedBackbone(
            base: base, adapters: [.init(adapters[0], weight: 1), .init(again, weight: -1)], merge: try .sum(1))
        #expect(try none.parameter(name) == base.parameter(name))
        let forwards = try MergedBackbone(
            base: base, adapters: adapters.map { .init($0) }, merge: try .sum(0.3))
        let backwards = try MergedBackbone(
            base: base, adapters: adapters.reversed().map { .init($0) }, merge: try .sum(0.3))
        let (one, other) = (
            try #require(forwards.deltas[name]?.dense.values), try #require(backwards.deltas[name]?.dense.values)
        )
        #expect(zip(one, other).allSatisfy { abs($0 - $1) < 1e-14 })
        #expect(throws: ModelError.self) {
            try MergedBackbone(
                base: base, adapters: [.init(again), .init(again)], merge: try .sum(1))
        }
        #expect(throws: ModelError.self) {
            try MergedBackbone(
                base: base, adapters: [.init(again, weight: .nan)], merge: try .sum(1))
        }
    }

    @Test func classNamesComeFromWhereTheyAre() throws {
        let folder = try SharedFolder.subfolder()
        func write(_ name: String, _ text: String) throws -> String {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            return "\(folder)/\(name)"
        }
        let none = try Adapter(task: "b", path: casePath("b"), base: base)
        #expect(none.hasPlaceholderNames && none.head.classes == ["LABEL_0", "LABEL_1", "LABEL_2"])
        for (file, text) in [
            ("a.json", #"{"id2label": {"1": "y", "0": "x", "2": "z"}}"#),
            ("b.json", #"{"0": "x", "1": "y", "2": "z"}"#),
            ("c.json", #"["x", "y", "z"]"#), ("d.txt", "x\ny\r\nz\n"), ("bom.txt", "\u{FEFF}x\ny\nz"),
            ("map.json", #"{"z": 2, "x": 0, "y": 1}"#),
            ("indices.json", #"{"class_indices": {"z": 2, "x": 0, "y": 1}}"#),
            ("id.json", #"{"label2id": {"x": "0", "y": "1", "z": "2"}, "problem_type": null}"#),
            ("both.json", #"{"id2label": null, "label2id": {"x": 0, "y": 1, "z": 2}}"#),
            ("spaces.txt", " x\ny \n\tz\n"),
        ] {
            let labels = try write(file, text)
            let adapter = try Adapter(task: "b", path: casePath("b"), labels: labels, base: base)
            #expect(adapter.head.classes == ["x", "y", "z"] && !adapter.hasPlaceholderNames)
        }
        for (file, text, reason) in [
            ("e.json", #"["x", "y"]"#, "2 class names for a head of 3"),
            ("f.json", #"["x", "y", "x"]"#, "appears twice"),
            ("g.json", #"{"id2label": {"0": "x", "1": "y", "3": "z"}}"#, "from 0 to 2"),
            ("h.json", #"{"label2id": {"x": 0, "y": 1, "z": 3}}"#, "from 0 to 2, found 3 of \"z\""),
            ("i.json", #"{"x": 1, "y": 2, "z": 3}"#, "from 0 to 2, found 3"),
            ("j.json", #"{"x": 0, "y": 1, "z": 1}"#, "\"y\" and \"z\" both have the number 1"),
            ("k.json", #"{"1": "x", "2": "y", "3": "z"}"#, "from 0 to 2"), ("l.json", "{}", "no class names"),
            ("m.json", #"{"id2label": [1]}"#, "expected an object"),
            ("n.json", #"{"x": {}, "y": 1}"#, "no class names"),
            ("o.json", #"{"0": 2, "1": 0, "2": 1}"#, "which are the names?"), ("p.txt", "x\nx \nz", "appears twice"),
            ("q.json", #"{"id2label": {"0": "x", "1": null, "2": "z"}}"#, "expected a name, found null"),
        ] {
            let labels = try write(file, text)
            let error = #expect(throws: ModelError.self) {
                try Adapter(task: "b", path: casePath("b"), labels: labels, base: base)
            }
            #expect(error?.path == labels && error?.reason.contains(reason) == true)
        }
    }

    @Test func classesThatAreCalledByNumbersAreNames() throws {
        let folder = try SharedFolder.subfolder()
        for (text, names) in [
            (#"{"id2label": {"0": 0, "1": true, "2": 1.5}}"#, ["0", "True", "1.5"]),
            (#"{"0": 0, "1": 1, "2": 2}"#, ["0", "1", "2"]), (#"{"1": 0, "10": 1, "2": 2}"#, ["1", "10", "2"]),
            (#"{"0": 10, "1": 20, "2": 30}"#, ["10", "20", "30"]),
            (#"{"0": "2", "1": "1", "2": "0"}"#, ["2", "1", "0"]),
        ] {
            let labels = folder + "/labels.json"
            try text.write(toFile: labels, atomically: true, encoding: .utf8)
            #expect(try Adapter(task: "b", path: casePath("b"), labels: labels, base: base).head.classes == names)
        }
    }

    @Test func namesThatAreNearlyTheSameAreWarnedOf() throws {
        let labels = try SharedFolder.subfolder() + "/labels.txt"
        func warnings(_ text: String) throws -> [String] {
            try text.write(toFile: labels, atomically: true, encoding: .utf8)
            return try Adapter(task: "b", path: casePath("b"), labels: labels, base: base).warnings(over: base)
                .map(\.text)
        }
        #expect(try warnings("daisy\nroses\ntulips").isEmpty)
        #expect(
            try warnings("daisy\nroses\nDaisy") == [
                "class names \"daisy\" and \"Daisy\" differ by case, spaces or the form of letters alone"
            ])
        #expect(try warnings("red  rose\nred rose\nx").count == 1)
        #expect(try warnings("caf\u{E9}\ncafe\u{301}\nx").count == 1)
    }
}

@Suite struct AdapterRefusalTests {
    let base: Checkpoint
    init() throws { base = try Checkpoint(folder: casePath("base")) }

    /// A copy of adapter `a` with some settings changed, or some tensors left out or added.
    func changed(
        settings: [String: String] = [:], without: String? = nil, adding: [(name: String, tensor: Tensor)] = []
    ) throws -> String {
        let folder = try SharedFolder.subfolder()
        var object = try #require(try JSON(contentsOf: casePath("a/adapter_config.json")).objectValue)
        for (key, value) in settings { object[key] = try JSON(parsing: Array(value.utf8)) }
        try JSON.object(object).serialized()
            .write(toFile: folder + "/adapter_config.json", atomically: true, encoding: .utf8)
        let file = try SafetensorsFile(path: casePath("a/adapter_model.safetensors"))
        let kept = try file.entries.filter { entry in without.map { !entry.name.contains($0) } ?? true }
            .map { (name: $0.name, tensor: try file.tensor($0.name)) }
        try writeSafetensors(kept + adding, to: folder + "/adapter_model.safetensors")
        return folder
    }

    @Test(arguments: [
        ("use_qalora", "true"), ("target_parameters", #"["x"]"#), ("layer_replication", "[[0, 1]]"),
        ("alora_invocation_tokens", "[1]"), ("trainable_token_indices", "[1]"), ("kasa_config", #"{"a": 1}"#),
        ("arrow_config", #"{"a": 1}"#), ("use_bdlora", #"{"a": 1}"#), ("velora_config", #"{"a": 1}"#),
        ("a_key_of_tomorrow", "1"), ("init_lora_weights", #""pissa_niter_4""#), ("init_lora_weights", #""PiSSA""#),
        ("init_lora_weights", #""loftq""#), ("init_lora_weights", #""corda""#),
        ("fan_in_fan_out", "true"), ("peft_type", #""IA3""#), ("bias", #""some""#), ("use_dora", "true"), ("r", "3"),
        ("r", "0"), ("lora_alpha", #""x""#), ("target_modules", #"["q_proj", "o_proj"]"#),
        ("target_modules", #"["q_proj", "nothing"]"#), ("rank_pattern", #"{"(": 3}"#),
        ("rank_pattern", #"{"v_proj": 2}"#),
        ("target_modules", #"".*\\.k_proj""#), ("target_modules", "7"), ("use_rslora", "1"),
    ])
    func settingsThatAreNotUnderstoodAreRefusedByName(_ key: String, _ value: String) throws {
        let folder = try changed(settings: [key: value])
        let error = #expect(throws: ModelError.self) { try Adapter(task: "a", path: folder, base: base) }
        let named = ["use_dora": "use_dora", "r": "r", "rank_pattern": "ran"][key] ?? key
        #expect(error?.reason.contains(named) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("layers.1.attention.v_proj.lora_B", "lora_A and lora_B"), ("layers.1.attention.v_proj", "target_modules"),
        ("classifier", "no classification head"), ("classifier.weight", "no classification head"),
    ])
    func missingTensorsAreRefused(_ tensor: String, _ reason: String) throws {
        let folder = try changed(without: tensor)
        let error = #expect(throws: ModelError.self) { try Adapter(task: "a", path: folder, base: base) }
        #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        "base_model.model.vit.layers.7.attention.q_proj.lora_A.weight", "base_model.model.something",
        "base_model.model.vit.layers.0.attention.k_proj.weight",
        "base_model.model.vit.encoder.layer.0.attention.attention.query.lora_A.weight",
    ])
    func tensorsWithoutAPlaceAreRefused(_ name: String) throws {
        let folder = try changed(adding: [(name, Tensor(shape: [4, 48]))])
        #expect(throws: ModelError.self) { try Adapter(task: "a", path: folder, base: base) }
    }

    @Test func neutralSettingsOfOtherVersionsAreAccepted() throws {
        let folder = try changed(settings: [
            "a_key_of_tomorrow": "null", "eva_config": #"{"rho": 2}"#, "lora_dropout": "0.5",
        ])
        #expect(throws: Never.self) { try Adapter(task: "a", path: folder, base: base) }
    }

    @Test func aHeadAloneIsATask() throws {
        let weight = Tensor(shape: [2, 48], repeating: 0.5)
        let bias = Tensor(shape: [2], values: [1, 2])
        let folder = try SharedFolder.subfolder()
        try writeSafetensors(
            [("classifier.weight", weight), ("classifier.bias", bias)], to: folder + "/head.safetensors")
        for path in [folder, folder + "/head.safetensors"] {
            let adapter = try Adapter(task: "t", path: path, base: base)
            #expect(adapter.modules.isEmpty && adapter.head.weight == weight && adapter.head.bias == bias)
        }
        try writeSafetensors([("weight", Tensor(shape: [2, 40])), ("bias", bias)], to: folder + "/head.safetensors")
        #expect(throws: ModelError.self) { try Adapter(task: "t", path: folder, base: base) }
    }

    @Test func aPickleAloneIsRefusedWithAdvice() throws {
        let folder = try SharedFolder.subfolder()
        try Data([0x80]).write(to: URL(fileURLWithPath: folder + "/adapter_model.bin"))
        let error = #expect(throws: FileError.self) { try Adapter(task: "t", path: folder, base: base) }
        #expect(error?.reason.contains("torch.save(model.state_dict(), FILE)") == true)
    }
}
