import Files
import Foundation
import Tensors
import TestSupport

@testable import VisionTransformers

/// One of the test's checkpoints, to be changed before it is written.
struct CheckpointDraft {
    struct Stored {
        var name: String
        var type = ElementType.float32
        var shape: [Int]
        var bytes: [UInt8]

        init(_ name: String, type: ElementType = .float32, shape: [Int], bytes: [UInt8]? = nil) {
            self.name = name
            self.type = type
            self.shape = shape
            self.bytes = bytes ?? [UInt8](repeating: 0, count: shape.reduce(type.size, *))
        }
    }

    var configuration: JSONObject
    var preprocessing: JSONObject
    var tensors: [Stored]

    init(_ name: String = "vit") throws {
        let folder = caseFolder(name)
        configuration = try JSON(contentsOf: "\(folder)/config.json").objectValue ?? [:]
        preprocessing = try JSON(contentsOf: "\(folder)/preprocessor_config.json").objectValue ?? [:]
        let file = try SafetensorsFile(path: "\(folder)/model.safetensors")
        tensors = file.entries.map { Stored($0.name, shape: $0.shape, bytes: Array(file.bytes(of: $0))) }
    }

    /// The tensors that are not a head's, of ViT and the families that were made after it.
    var backbone: [Stored] { tensors.filter { !ParameterNames.isHead(BackboneFamily.vit.names.canonical($0.name)) } }

    /// The same with every tensor renamed.
    func renamed(_ rename: (String) -> String) -> CheckpointDraft {
        var draft = self
        for index in draft.tensors.indices { draft.tensors[index].name = rename(tensors[index].name) }
        return draft
    }

    /// The same with every tensor stored in another type.
    func stored(as type: ElementType, _ convert: (Float) -> [UInt8]) -> CheckpointDraft {
        var draft = self
        for (index, tensor) in tensors.enumerated() {
            let values = tensor.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
            draft.tensors[index] = Stored(
                tensor.name, type: type, shape: tensor.shape, bytes: values.flatMap(convert))
        }
        return draft
    }

    /// Writes `config.json` and the preprocessing settings, and the tensors to one file.
    func written() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try writeSettings(to: folder)
        try CheckpointDraft.write(tensors, to: "\(folder.path)/model.safetensors")
        return folder
    }

    /// Writes the tensors in turn to `shards` files, with the index that says where they are.
    func sharded(_ shards: Int) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try writeSettings(to: folder)
        var map = JSONObject()
        for shard in 0..<shards {
            let name = Self.shard(shard, of: shards)
            let part = tensors.enumerated().filter { $0.offset % shards == shard }.map(\.element)
            for tensor in part { map[tensor.name] = .string(name) }
            try CheckpointDraft.write(part, to: "\(folder.path)/\(name)")
        }
        try folder.write(
            "model.safetensors.index.json",
            JSON.object(["metadata": .object([:]), "weight_map": .object(map)]).serialized())
        return folder
    }

    static func shard(_ index: Int, of count: Int) -> String {
        "model-0000\(index + 1)-of-0000\(count).safetensors"
    }

    static func write(_ tensors: [Stored], to path: String) throws {
        let writer = try SafetensorsWriter(
            path: path, declarations: tensors.map { .init(name: $0.name, type: $0.type, shape: $0.shape) })
        for tensor in tensors {
            try tensor.bytes.withUnsafeBytes { try writer.append(tensor.name, bytes: $0) }
        }
        // Not finished: that would wait for the disk, hundreds of times.
    }

    private func writeSettings(to folder: TemporaryFolder) throws {
        try folder.write("config.json", JSON.object(configuration).serialized())
        try folder.write("preprocessor_config.json", JSON.object(preprocessing).serialized())
    }
}
