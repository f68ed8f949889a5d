import Files
import Foundation
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Whether two checkpoints have the same parameters, bit for bit.
func sameParameters(_ one: Checkpoint, _ other: Checkpoint) throws -> Bool {
    try one.configuration.parameterShapes.allSatisfy { name, _ in
        try one.parameter(name).values.map(\.bitPattern) == other.parameter(name).values.map(\.bitPattern)
    }
}

@Suite struct CheckpointRefusalTests {
    private static let families = [
        "vit", "deit_distilled", "dinov2", "dinov2_swiglu", "dinov2_registers", "dinov3", "siglip", "clip", "ijepa",
        "beit", "data2vec",
    ]

    /// The tensors of a case that its computation depends on.
    private func needed(_ name: String, _ draft: CheckpointDraft) throws -> [CheckpointDraft.Stored] {
        let names = try Checkpoint(folder: caseFolder(name)).names
        return draft.tensors.filter { tensor in
            let canonical = names.canonical(tensor.name)
            return !ParameterNames.isHead(canonical) && !names.isUnused(canonical)
                && !names.isIgnored(names.withoutPrefix(tensor.name))
        }
    }

    @Test(arguments: families) func everyTensorOfTheBackboneIsNeeded(_ name: String) throws {
        let draft = try CheckpointDraft(name)
        let names = try Checkpoint(folder: caseFolder(name)).names
        for tensor in try needed(name, draft) {
            var without = draft
            without.tensors.removeAll { $0.name == tensor.name }
            let folder = try without.written()
            let canonical = names.canonical(tensor.name)
            let named = names.branches(of: canonical)?[0] ?? canonical
            #expect(
                message { _ = try Checkpoint(folder: folder.path) }
                    == "\(folder.path): tensor for \(named) is missing")
        }
    }

    @Test(arguments: families) func everyTensorHasOneShape(_ name: String) throws {
        let draft = try CheckpointDraft(name)
        let needed = Set(try needed(name, draft).map(\.name))
        for (index, tensor) in draft.tensors.enumerated() where needed.contains(tensor.name) {
            var changed = draft
            let shape = [tensor.shape[0] + 2] + tensor.shape.dropFirst()
            changed.tensors[index] = .init(tensor.name, shape: shape)
            let folder = try changed.written()
            let said = message { _ = try Checkpoint(folder: folder.path) }
            #expect(said.contains("expected shape [") && said.contains("found ["), "\(tensor.name): \(said)")
            // The same elements in another arrangement are not the same parameter.
            changed.tensors[index] = .init(tensor.name, shape: [1] + tensor.shape, bytes: tensor.bytes)
            let other = try changed.written()
            #expect(throws: ModelError.self, "\(tensor.name)") { try Checkpoint(folder: other.path) }
        }
    }

    @Test(arguments: families) func noTensorIsThereTwice(_ name: String) throws {
        let draft = try CheckpointDraft(name)
        let prefix = try Checkpoint(folder: caseFolder(name)).names.prefix
        for tensor in try needed(name, draft).prefix(6) {
            var doubled = draft
            let hasPrefix = tensor.name.hasPrefix(prefix)
            let other = hasPrefix ? String(tensor.name.dropFirst(prefix.count)) : prefix + tensor.name
            guard other != tensor.name else { continue }
            doubled.tensors.append(.init(other, shape: tensor.shape, bytes: tensor.bytes))
            let folder = try doubled.written()
            let said = message { _ = try Checkpoint(folder: folder.path) }
            #expect(said.contains("a second tensor for"), "\(tensor.name): \(said)")
        }
    }

    @Test(arguments: [
        "vit.encoder.layer.3.layernorm_before.weight", "vit.layers.3.layernorm_before.weight",
        "vit.encoder.layer.0.attention.attention.query.lora_A.weight", "vit.embeddings.distillation_token",
        "vit.encoder.layer.0.layer_scale1.lambda1", "vit.encoder.layer.0.mlp.weights_in.weight", "something",
        "blocks.0.attn.qkv.weight", "vit.encoder.layer.x.layernorm_before.weight",
        "dinov2.vit.layernorm.weight", "deit.vit.embeddings.cls_token",
    ])
    func tensorsWithoutAPlaceAreRefusedByName(_ name: String) throws {
        var draft = try CheckpointDraft()
        draft.tensors.append(.init(name, shape: [48]))
        let folder = try draft.written()
        #expect(message { _ = try Checkpoint(folder: folder.path) }.contains("tensor \"\(name)\" has no place"))
    }

    @Test(arguments: [
        "vit.layers.0.layernorm_before.weight", "layers.0.norm1.weight", "encoder.layer.0.layernorm_before.weight",
        "deit.encoder.layer.0.layernorm_before.weight",
    ])
    func twoTensorsForOneParameterAreRefused(_ name: String) throws {
        var draft = try CheckpointDraft()
        draft.tensors.append(.init(name, shape: [48]))
        let folder = try draft.written()
        let said = message { _ = try Checkpoint(folder: folder.path) }
        #expect(said.contains("a second tensor for layers.0.norm1.weight"), "\(said)")
    }

    @Test(arguments: [ElementType.int32, .int8, .uint8, .bool, .int64])
    func elementsThatAreNotFloatsAreRefused(_ type: ElementType) throws {
        for name in ["vit.layernorm.weight", "classifier.bias"] {
            var draft = try CheckpointDraft()
            let index = try #require(draft.tensors.firstIndex { $0.name == name })
            draft.tensors[index] = .init(name, type: type, shape: draft.tensors[index].shape)
            let folder = try draft.written()
            let said = message { _ = try Checkpoint(folder: folder.path) }
            #expect(said.contains("\"\(name)\": expected F32, F16 or BF16, found \(type.rawValue)"), "\(said)")
        }
    }

    @Test(arguments: [
        ("pytorch_model.bin", "not a zip archive"), ("pytorch_model.bin.index.json", "not valid JSON"),
        ("pytorch_model.pt", "rename the file to pytorch_model.bin"),
    ])
    func whatIsNoFileOfTorchSaveIsRefusedWithAdvice(_ name: String, _ reason: String) throws {
        let folder = try CheckpointDraft().written()
        try folder.remove("model.safetensors")
        #expect(message { _ = try Checkpoint(folder: folder.path) }.contains("neither model.safetensors nor"))
        try folder.write(name, "\u{80}")
        let said = message { _ = try Checkpoint(folder: folder.path) }
        #expect(said.hasPrefix("\(folder.path)/\(name): ") && said.contains(reason), "\(said)")
    }

    @Test func missingAndBrokenFilesAreNamed() throws {
        #expect(message { _ = try Checkpoint(folder: "/nowhere") } == "/nowhere: No such file or directory")
        let folder = try CheckpointDraft().written()
        let weights = "\(folder.path)/model.safetensors"
        let whole = try Data(contentsOf: URL(fileURLWithPath: weights))
        for length in [0, 7, 8, 1000, whole.count - 1] {
            try whole.prefix(length).write(to: URL(fileURLWithPath: weights))
            #expect(message { _ = try Checkpoint(folder: folder.path) }.hasPrefix("\(weights): "))
        }
        for text in ["", "{", "[]", "7"] {
            try folder.write("config.json", text)
            #expect(message { _ = try Checkpoint(folder: folder.path) }.hasPrefix("\(folder.path)/config.json: "))
        }
    }
}

@Suite struct CheckpointNameTests {
    /// A name of transformers 4 as transformers 5 has it in memory.
    static func modern(_ name: String) -> String {
        var name = name.replacing("encoder.layer.", with: "layers.")
        for family in [BackboneFamily.vit, .dinov2] {
            for (old, new) in family.names.inBlock where !new.hasPrefix("norm") {
                name = name.replacing(old, with: new)
            }
        }
        return name
    }

    @Test(arguments: ["vit", "vit_noqkvbias", "deit_distilled", "dinov2", "dinov2_swiglu"])
    func everySchemeOfNamesMeansTheSame(_ name: String) throws {
        let draft = try CheckpointDraft(name)
        let expected = try Checkpoint(folder: caseFolder(name))
        let (head, names) = (try expected.head(task: "label"), expected.names)
        for scheme in [
            Self.modern, names.withoutPrefix, { names.withoutPrefix(Self.modern($0)) }, names.canonical,
        ] {
            let folder = try draft.renamed(scheme).written()
            let checkpoint = try Checkpoint(folder: folder.path)
            #expect(try sameParameters(checkpoint, expected))
            #expect(try checkpoint.head(task: "label") == head)
        }
    }

    @Test func halfPrecisionIsWidened() throws {
        let draft = try CheckpointDraft()
        let exact = try Checkpoint(folder: caseFolder("vit"))
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
        let drafts: [(CheckpointDraft, Float)] = [
            (draft.stored(as: .float16) { bytes(Float16($0).bitPattern) }, 0x1p-10),
            (draft.stored(as: .bfloat16) { bytes(UInt16($0.bitPattern >> 16)) }, 0x1p-7),
            (draft.stored(as: .float64) { bytes(Double($0).bitPattern) }, 0),
        ]
        for (draft, step) in drafts {
            let folder = try draft.written()
            let checkpoint = try Checkpoint(folder: folder.path)
            for (name, _) in exact.configuration.parameterShapes {
                let (found, expected) = (try checkpoint.parameter(name), try exact.parameter(name))
                #expect(found.shape == expected.shape)
                let isNear = zip(found.values, expected.values).allSatisfy {
                    abs($0 - $1) <= step * abs($1) + step / 1000
                }
                #expect(isNear, "\(name)")
            }
        }
    }
}

@Suite struct CheckpointShardTests {
    @Test(arguments: [1, 2, 3]) func shardsAreOneCheckpoint(_ count: Int) throws {
        let folder = try CheckpointDraft().sharded(count)
        let checkpoint = try Checkpoint(folder: folder.path)
        #expect(checkpoint.files.count == count)
        let whole = try Checkpoint(folder: caseFolder("vit"))
        #expect(try sameParameters(checkpoint, whole))
        #expect(try checkpoint.head(task: "label") == whole.head(task: "label"))
    }

    /// Rewrites the index of a checkpoint of two shards.
    func index(_ change: (inout JSONObject) -> Void) throws -> TemporaryFolder {
        let folder = try CheckpointDraft().sharded(2)
        let path = "\(folder.path)/model.safetensors.index.json"
        var map = try #require(try JSON(contentsOf: path).objectValue?["weight_map"]?.objectValue)
        change(&map)
        try folder.write("model.safetensors.index.json", JSON.object(["weight_map": .object(map)]).serialized())
        return folder
    }

    @Test(arguments: ["../model-00001-of-00002.safetensors", "/etc/passwd", "..", "", "sub/x.safetensors"])
    func shardsLieInTheFolder(_ place: String) throws {
        let folder = try index { $0["vit.layernorm.weight"] = .string(place) }
        #expect(
            message { _ = try Checkpoint(folder: folder.path) }.hasSuffix(
                #"weight_map["vit.layernorm.weight"]: expected a file name in this folder"#))
    }

    @Test func theIndexAndTheShardsAgree() throws {
        let other = CheckpointDraft.shard(0, of: 2)
        let wrong = try index { map in
            for (name, place) in map.members where place.stringValue != other {
                map[name] = .string(other)
                return
            }
        }
        #expect(message { _ = try Checkpoint(folder: wrong.path) }.contains("which the index places here"))
        let unknown = try index { $0["vit.something"] = .string(other) }
        #expect(message { _ = try Checkpoint(folder: unknown.path) }.contains("no tensor \"vit.something\""))
        let extra = try index { $0["classifier.bias"] = nil }
        #expect(message { _ = try Checkpoint(folder: extra.path) }.contains("\"classifier.bias\" is not in the index"))
        let number = try index { $0["classifier.bias"] = .int(1) }
        #expect(throws: ModelError.self) { try Checkpoint(folder: number.path) }
        let missing = try index { _ in }
        try missing.remove(other)
        #expect(message { _ = try Checkpoint(folder: missing.path) }.hasPrefix("\(missing.path)/\(other): "))
        let empty = try index { _ in }
        try empty.write("model.safetensors.index.json", "{}")
        #expect(message { _ = try Checkpoint(folder: empty.path) }.hasSuffix("no \"weight_map\" object"))
    }

    @Test func aTensorThatNoShardHoldsIsMissing() throws {
        var draft = try CheckpointDraft()
        draft.tensors.removeAll { $0.name == "vit.layernorm.bias" }
        let folder = try draft.sharded(2)
        #expect(message { _ = try Checkpoint(folder: folder.path) }.hasSuffix("tensor for layernorm.bias is missing"))
    }
}
