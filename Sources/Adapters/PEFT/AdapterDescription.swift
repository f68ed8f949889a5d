package import Files
import Tensors
import VisionTransformers

/// What an adapter is, without the base that it was trained on.
package enum AdapterDescription {
    /// The names that an adapter's or head's weights have in its folder.
    package static let weightNames = AdapterSource.names

    /// Describes a PEFT folder or a head.
    ///
    /// - Throws: `ModelError` or `FileError` when it cannot be read or is not understood.
    package static func json(_ path: String) throws -> JSON {
        let source = try AdapterSource(path)
        var modules: Set<String> = []
        var ranks: Set<Int> = []
        var others: [JSON] = []
        var classes: Int?
        let names = BackboneFamily.names(of: source.weights.entries.map { FileNames.bare($0.name) })
        for entry in source.weights.entries {
            let name = FileNames.bare(entry.name).replacing(".modules_to_save.default.", with: ".")
            if let range = name.firstRange(of: ".lora_") {
                modules.insert(names.canonical(String(name[..<range.lowerBound])))
                if name.contains(".lora_A"), let rank = entry.shape.first { ranks.insert(rank) }
            } else if ParameterNames.isHead(names.canonical(name)) || name == "weight" || name == "bias" {
                if entry.shape.count == 2 { classes = entry.shape[0] }
            } else {
                others.append(.string(names.canonical(name)))
            }
        }
        let labels = try classes.flatMap { try ClassNames.find(labels: nil, folder: source.folder, classes: $0) }
        var object: JSONObject = [
            "kind": modules.isEmpty ? "classification head" : "adapter",
            "path": .string(source.place),
        ]
        if let configuration = source.configuration {
            object["method"] = .string(configuration.isDoRA ? "DoRA" : "LoRA")
            object["rank"] = .array(ranks.sorted().map(JSON.int))
            object["alpha"] = .double(configuration.alpha)
            object["rank_stabilized"] = .bool(configuration.isRankStabilized)
            object["adapted_modules"] = .int(modules.count)
            object["adapted_kinds"] = .array(Set(modules.map(kind)).sorted().map(JSON.string))
        }
        if !others.isEmpty { object["trained_parameters"] = .array(others) }
        if let outputs = classes,
            let found = try AdapterActivation.beside(labels: nil, folder: source.folder, outputs: outputs)
        {
            object["activation"] = .string(found.activation.rawValue)
        }
        object["classes"] = .int(classes ?? 0)
        object["class_names"] = labels.map { .array($0.names.map(JSON.string)) } ?? .null
        object["tensors"] = .int(source.weights.entries.count)
        object["sha256"] = try SHA256.json(ofFiles: source.files)
        return .object(object)
    }

    /// A module's path without its layer.
    private static func kind(_ module: String) -> String {
        module.split(separator: ".").filter { $0 != "layers" && Int($0) == nil }.joined(separator: ".")
    }
}
