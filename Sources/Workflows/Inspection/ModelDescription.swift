import Adapters
package import Files
import Glibc
import Images
import Tensors
import VisionTransformers

/// What a folder or file is, as JSON and as text.
package enum ModelDescription {
    /// Describes a bundle, a checkpoint, an adapter or a safetensors file, whichever it is.
    ///
    /// - Throws: `ModelError`, `FileError` or `ImageError` when it is none of them, or not a sound one.
    package static func of(_ path: String) throws -> JSON {
        func has(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }
        if ModelBundle.isBundle(path) { return try bundle(path) }
        if has("adapter_config.json") || AdapterDescription.weightNames.contains(where: has) {
            return try AdapterDescription.json(path)
        }
        if has("config.json") { return try checkpoint(path) }
        if !SmallFiles.isFolder(path), TensorFiles.hasEnding(path) { return try tensors(path) }
        guard access(path, F_OK) == 0 else { throw ModelError(path, systemReason(errno)) }
        throw ModelError(
            path,
            "expected a folder with bundle.json, adapter_config.json or config.json, or a .safetensors or .bin file")
    }

    private static func checkpoint(_ path: String) throws -> JSON {
        let checkpoint = try Checkpoint(folder: path)
        var object: JSONObject = ["kind": "checkpoint", "path": .string(path)]
        describe(checkpoint, in: &object)
        let isTimm = checkpoint.configurationFile.objectValue?[Preprocessing.timmKey] != nil
        if isTimm || !checkpoint.preprocessorPaths.isEmpty {
            object["preprocessing"] = describe(try checkpoint.preprocessing())
        }
        if let head = try checkpoint.head(task: ModelBundle.plainTask) { object["tasks"] = describe([head]) }
        object["sha256"] = try SHA256.json(ofFiles: ["\(path)/config.json"] + checkpoint.files.map(\.path))
        return .object(object)
    }

    private static func bundle(_ path: String) throws -> JSON {
        let bundle = try ModelBundle(folder: path)
        var object: JSONObject = ["kind": "bundle", "path": .string(path)]
        describe(bundle.backbone, in: &object)
        object["preprocessing"] = describe(bundle.preprocessing)
        object["tasks"] = describe(bundle.heads)
        if bundle.groups.count > 1 { object["groups"] = try describe(bundle.groups, of: bundle) }
        let streams = bundle.streams.compactMap(\.self)
        if !streams.isEmpty { object["streams"] = describe(streams, of: bundle) }
        object["fits"] = bundle.fits.map { describe($0, of: bundle) }
        object["int8"] = try describeInt8(of: bundle)
        object["recipe"] = bundle.manifest?.objectValue?["recipe"] ?? .null
        object["sha256"] = try SHA256.json(
            ofFiles: (["config.json", "model.safetensors", ModelBundle.headsName, ModelBundle.preprocessingName]
                + besideWeights(in: path)).map { "\(path)/\($0)" })
        return .object(object)
    }

    /// The fits of tasks: on how many held-out images they rest, and what they take in the file.
    private static func describe(_ fits: FitFile, of bundle: ModelBundle) -> JSON {
        .object([
            "background_bytes": .int(fits.groups.reduce(0) { $0 + ($1?.background.byteCount ?? 0) }),
            "tasks": .array(
                bundle.heads.compactMap { head in
                    guard let fit = fits.fit(head.task) else { return nil }
                    return .object([
                        "name": .string(fit.task), "held_out_images": .int(fit.heldOut.count),
                        "bytes": .int(fit.byteCount),
                    ])
                }),
        ])
    }

    /// What `quantize` has left in a bundle; nil if that is nothing.
    private static func describeInt8(of bundle: ModelBundle) throws -> JSON? {
        let quantized = try bundle.quantizedWeights
        guard quantized.contains(where: { $0 != nil }) else { return nil }
        let parts = quantized.lazy.compactMap(\.self).first
        func names(_ sublayers: Set<BlockSublayer>) -> JSON {
            .array([BlockSublayer](ordered: sublayers).map { .string($0.description) })
        }
        var object: JSONObject = [
            "quantized_groups": .int(quantized.count { $0 != nil }),
            "auto_takes_int8": .bool(try bundle.keepsLabelsInInt8),
            "left_in_floats": names((parts?.floats ?? []).filter { $0.part != .scores }),
            "int8_attention_scores": names(parts?.roundedScores ?? []),
        ]
        if let merging = try bundle.keptTokenMerging(of: quantized) {
            object["token_merging"] = .object([
                "merged_per_block": .array(merging.schedule.counts.map(JSON.int)),
                "operations": .double(merging.cost), "keep": .double(merging.required),
                "aligned_heads": .array(quantized.flatMap { $0?.alignedTasks ?? [] }.map(JSON.string)),
                "compared_images": .int(merging.agreement.images),
                "same_labels_as_f32": .object(
                    merging.agreement.tasks.reduce(into: JSONObject()) { $0[$1.task] = .double($1.share) }),
            ])
        }
        let agreements = quantized.compactMap { $0?.agreement }
        guard !agreements.isEmpty else { return .object(object) }
        object["compared_images"] = .int(agreements.map(\.images).max() ?? 0)
        let tasks = agreements.flatMap(\.tasks)
        object["same_labels_as_f32"] = .object(
            bundle.heads.reduce(into: JSONObject()) { shares, head in
                shares[head.task] = tasks.first { $0.task == head.task }.map { .double($0.share) }
            })
        return .object(object)
    }

    private static func describe(_ groups: [TaskGroup<Checkpoint>], of bundle: ModelBundle) throws -> JSON {
        .array(
            try groups.enumerated().map { index, group in
                .object([
                    "name": .string("group\(index + 1)"), "path": .string(group.backbone.folder),
                    "tasks": .array(group.tasks.map { .string(bundle.heads[$0].task) }),
                    "sha256": try SHA256.json(
                        ofFiles: ["\(group.backbone.folder)/config.json"] + group.backbone.files.map(\.path)
                            + besideWeights(in: group.backbone.folder).map {
                                "\(group.backbone.folder)/\($0)"
                            }),
                ])
            })
    }

    /// The names of the files of task streams, of int8 and of fits beside a backbone.
    private static func besideWeights(in folder: String) -> [String] {
        let names = [StreamFile.name, StreamFile.baseName, QuantizedWeights.fileName, FitFile.name]
        return names.filter { access("\(folder)/\($0)", F_OK) == 0 }
    }

    /// What each stream takes beside what all share, over all groups.
    private static func describe(_ streams: [TaskStreams], of bundle: ModelBundle) -> JSON {
        let all = streams.flatMap { group in group.streams.map { ($0, group.byteCount(of: $0)) } }
        let own = streams.flatMap(\.ownBaseParameters)
        let parameters = streams.count * bundle.backbone.configuration.parameterShapes.count
        return .object([
            "rank": .int(all.flatMap(\.0.maps).map(\.change.rank).max() ?? 0),
            "modules": .array(Set(all.flatMap(\.0.changes.keys)).sorted().map(JSON.string)),
            "tasks": .array(
                bundle.heads.compactMap { head in
                    guard let (stream, bytes) = all.first(where: { $0.0.task == head.task }) else { return nil }
                    return .object([
                        "name": .string(stream.task),
                        "token_map_rank": .int(stream.maps.map(\.change.rank).max() ?? 0),
                        "adapter_rank": .int(stream.changes.values.map(\.rank).max() ?? 0),
                        "adapted_modules": .int(stream.changes.count), "bytes": .int(bytes),
                    ])
                }),
            "base": .object([
                "own_parameters": .int(own.count), "own_bytes": .int(own.reduce(0) { $0 + $1.byteCount }),
                "shared_parameters": .int(parameters - own.count),
            ]),
        ])
    }

    private static func tensors(_ path: String) throws -> JSON {
        let file = try TensorFiles.open(path)
        var entries = JSONObject()
        for entry in file.entries {
            entries[entry.name] = .string("\(entry.type.rawValue) \(entry.shape)")
        }
        return .object([
            "kind": .string(file is SafetensorsFile ? "safetensors" : "torch.save"), "path": .string(path),
            "tensors": .object(entries),
            "sha256": try SHA256.json(ofFiles: [path]),
        ])
    }

    private static func describe(_ checkpoint: Checkpoint, in object: inout JSONObject) {
        let c = checkpoint.configuration
        object["family"] = .string(c.family.name)
        object["layers"] = .int(c.layers)
        object["hidden_size"] = .int(c.hiddenSize)
        object["attention_heads"] = .int(c.heads)
        object["intermediate_size"] = .int(c.intermediateSize)
        object["image_size"] = .string("\(c.imageSize)")
        object["patch_size"] = .string("\(c.patchSize)")
        object["parameters"] = .int(c.parameterShapes.reduce(0) { $0 + $1.shape.reduce(1, *) })
        object["tensors"] = .int(checkpoint.storedTensors.count)
        let types = Set(checkpoint.storedTensors.map(\.entry.type.rawValue)).sorted()
        object["tensor_types"] = .array(types.map(JSON.string))
    }

    private static func describe(_ preprocessing: Preprocessing) -> JSON {
        var steps: [String] = []
        let filter = "\(preprocessing.filter)" + (preprocessing.resize == .pillow ? "" : " as \(preprocessing.resize)")
        switch preprocessing.target {
        case nil: break
        case .exact(let size): steps.append("resize to \(size), \(filter)")
        case .shortestEdge(let edge): steps.append("resize the shortest edge to \(edge), \(filter)")
        }
        if let crop = preprocessing.crop { steps.append("crop the centre \(crop)") }
        if let factor = preprocessing.rescaleFactor { steps.append("times \(factor)") }
        if let normal = preprocessing.normalization {
            steps.append("mean \(normal.mean), deviation \(normal.deviation)")
        }
        return .array(steps.map(JSON.string))
    }

    private static func describe(_ heads: [Head]) -> JSON {
        .array(
            heads.map { head in
                .object([
                    "name": .string(head.task), "activation": .string(head.activation.rawValue),
                    "features": .int(head.weight.shape[1]),
                    "classes": .array(head.classes.map(JSON.string)),
                ])
            })
    }

    /// The description for people: one fact a line, long lists cut.
    package static func text(_ value: JSON) -> String {
        var lines: [String] = []
        for (key, value) in value.objectValue?.members ?? [] { write(key, value, indent: "", to: &lines) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ key: String, _ value: JSON, indent: String, to lines: inout [String]) {
        switch value {
        case .object(let object):
            lines.append("\(indent)\(key):")
            for (key, value) in object.members { write(key, value, indent: indent + "  ", to: &lines) }
        case .array(let elements) where elements.contains { $0.objectValue != nil }:
            lines.append("\(indent)\(key):")
            for element in elements {
                guard var object = element.objectValue else { continue }
                let name = object["name"]?.stringValue ?? "-"
                object["name"] = nil
                write(name, .object(object), indent: indent + "  ", to: &lines)
            }
        case .array(let elements):
            let shown = elements.prefix(8).map(plain).joined(separator: ", ")
            let rest = elements.count > 8 ? ", ... (\(elements.count) in all)" : ""
            lines.append("\(indent)\(key): \(shown)\(rest)")
        default:
            lines.append("\(indent)\(key): \(plain(value))")
        }
    }

    private static func plain(_ value: JSON) -> String { value.stringValue ?? value.serialized(indented: false) }
}
