package import Files
import Tensors
package import VisionTransformers

/// Writes bundles: a folder appears under its name whole or not at all.
package enum BundleWriter {
    /// A bundle's folder: beside its files the folders of groups, and packed weights that a model that was opened left.
    package static let kind = FolderKind(
        "a bundle", marker: ModelBundle.manifestName,
        contents: .init(folders: { ModelBundle.isGroupFolder($0) ? group : PackedCache.contents(ofFolder: $0) }))

    private static let group = FolderKind.Contents(
        files: {
            ["config.json", "model.safetensors", QuantizedWeights.fileName, StreamFile.name, StreamFile.baseName]
                .contains($0)
        },
        folders: PackedCache.contents(ofFolder:))

    /// Writes a merged backbone with its heads as a bundle.
    ///
    /// - Parameters:
    ///   - merged: the backbone; its adapters' heads become the tasks, in their order. Without adapters the base's own
    ///     head, if it has one, is the only task.
    ///   - folder: where; its parent must exist.
    ///   - replaces: whether a bundle that is there already may be replaced.
    ///   - started: is given what removes the unfinished folder, to be called when the process is told to end; it
    ///     returns whether the folder was unfinished.
    /// - Returns: the heads that were written.
    /// - Throws: as `write(groups:fits:order:recipe:to:replaces:started:)`.
    @discardableResult
    package static func write(
        _ merged: MergedBackbone, to folder: String, replaces: Bool,
        started: (@escaping @Sendable () -> Bool) -> Void = { _ in }
    ) throws -> [Head] {
        try write(groups: [BundleGroup(merged)], to: folder, replaces: replaces, started: started)
    }

    /// Writes one or several merged backbones of one base, each with its heads, as one bundle.
    ///
    /// - Parameters:
    ///   - groups: the backbones with their heads. The first backbone is the one at the bundle's top.
    ///   - fits: how well images fit the tasks of each group, if that was measured.
    ///   - order: the order of the tasks in the bundle; that of the groups unless given.
    ///   - recipe: how the bundle was made.
    ///   - folder: where; its parent must exist.
    ///   - replaces: whether a bundle that is there already may be replaced.
    ///   - started: is given what removes the unfinished folder, to be called when the process is told to end; it
    ///     returns whether the folder was unfinished.
    /// - Returns: the heads that were written, in the order of the bundle.
    /// - Throws: `ModelError` or `FileError` when the groups do not fit together, something is there already, or the
    ///   disk refuses; nothing is left behind then.
    @discardableResult
    package static func write(
        groups: [BundleGroup], fits: [GroupFit?] = [], order: [String]? = nil, recipe: Recipe? = nil,
        to folder: String, replaces: Bool, started: (@escaping @Sendable () -> Bool) -> Void = { _ in }
    ) throws -> [Head] {
        guard let base = groups.first?.merged.base else { throw ModelError(folder, "a bundle needs a backbone") }
        let heads = try BundleGroup.heads(of: groups, order: order)
        let recipe = try recipe ?? Recipe(groups.map(\.merged), order: heads.map(\.task))
        let target = try AtomicFolder(folder, kind, replaces: replaces)
        started { target.discard() }
        do {
            for (index, group) in groups.enumerated() {
                let folder = ModelBundle.groupFolder(index)
                if let folder { try target.makeFolder(folder) }
                let prefix = folder.map { "\($0)/" } ?? ""
                try writeBackbone(group.merged, hasStreams: group.streams != nil, prefix, to: target)
                if let streams = group.streams {
                    try StreamFile.write(
                        streams, baseParameters: Array(group.merged.deltas.keys),
                        to: target.path(prefix + StreamFile.name))
                    try writeBase(of: group.merged, to: target.path(prefix + StreamFile.baseName))
                }
            }
            try writeHeads(heads, to: target.path(ModelBundle.headsName))
            let fitFile = FitFile(groups: fits)
            if !fitFile.isEmpty {
                try fitFile.write(to: target.path(FitFile.name), tasks: groups.map { $0.heads.map(\.task) })
            }
            try target.write(ModelBundle.preprocessingName, base.preprocessorFile().json.serialized())
            let manifest = manifest(
                heads, groups: groups.map { $0.heads.map(\.task) }, resize: try base.recordedResize(),
                hasStreams: groups.contains { $0.streams != nil }, recipe: recipe.json)
            try target.write(ModelBundle.manifestName, manifest.serialized())
            try target.commit()
            return heads
        } catch {
            target.discard()
            throw error
        }
    }

    /// Checks, before long work, that a bundle may be written to a path.
    ///
    /// - Throws: `ModelError` when something is there that may not be replaced.
    package static func check(_ folder: String, replaces: Bool) throws {
        try AtomicFolder.check(folder, kind, replaces: replaces)
    }

    /// Writes the files of a backbone into a bundle, under a prefix of their names.
    static func writeBackbone(
        _ merged: MergedBackbone, hasStreams: Bool, _ prefix: String, to target: AtomicFolder
    ) throws {
        try writeBackbone(merged, to: target.path(prefix + "model.safetensors"))
        try target.write(
            prefix + "config.json", configuration(of: merged.base, hasStreams: hasStreams).serialized())
    }

    /// The backbone's tensors under the names of the base's file without the model's prefix, as transformers' class
    /// without a head saves them; the base's own head is left out.
    private static func writeBackbone(_ merged: MergedBackbone, to path: String) throws {
        let stored = merged.base.storedTensors.filter { !$0.parameters.contains(where: ParameterNames.isHead) }
        let names = stored.map { merged.base.names.withoutPrefix($0.name) }
        let writer = try SafetensorsWriter(
            path: path,
            declarations: zip(stored, names).map { .init(name: $1, shape: $0.entry.shape) })
        for (index, (tensor, name)) in zip(stored, names).enumerated() {
            try LongWork.report("writing tensors", index, of: stored.count)
            var values: [Float] = []
            for parameter in tensor.parameters {
                values += try merged.parameter(parameter).values
                merged.release(parameter)
            }
            try writer.append(name, Tensor(shape: tensor.entry.shape, values: values))
        }
        try writer.finish()
    }

    /// The parameters of the base that the merge changes, for streams; no file when it changes none.
    private static func writeBase(of merged: MergedBackbone, to path: String) throws {
        let changed = merged.deltas.keys.sorted()
        guard !changed.isEmpty else { return }
        let base = merged.base
        let shapes = Dictionary(uniqueKeysWithValues: base.configuration.parameterShapes.map { ($0.name, $0.shape) })
        let writer = try SafetensorsWriter(
            path: path, declarations: changed.map { .init(name: $0, shape: shapes[$0] ?? []) })
        for name in changed {
            try writer.append(name, base.parameter(name))
            base.release(name)
        }
        try writer.finish()
    }

    /// Writes the file of heads.
    static func writeHeads(_ heads: [Head], to path: String) throws {
        try writeSafetensors(
            heads.flatMap { [("\($0.task).weight", $0.weight), ("\($0.task).bias", $0.bias)] }, to: path)
    }

    /// The base's `config.json` as that of a backbone without a head, in 32-bit floats. Beside streams it keeps
    /// `problem_type`, on which heads of tasks that are added later may depend (`AdapterActivation`).
    private static func configuration(of base: Checkpoint, hasStreams: Bool) -> JSON {
        var object = base.configurationFile.objectValue ?? [:]
        for key in ["id2label", "label2id", "num_labels"] { object[key] = nil }
        if !hasStreams { object["problem_type"] = nil }
        object["architectures"] = .array([.string(base.configuration.family.architecture)])
        for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = .string("float32") }
        return .object(object)
    }

    /// A bundle's manifest.
    ///
    /// - Parameters:
    ///   - groups: the tasks of each backbone.
    ///   - resize: whose resize images get; nil for Pillow's.
    static func manifest(
        _ heads: [Head], groups: [[String]], resize: String?, hasStreams: Bool, recipe: JSONObject
    ) -> JSON {
        let isGrouped = groups.count > 1
        var manifest: JSONObject = [
            "format": "mergevit-bundle",
            "format_version": .int(
                ModelBundle.formatVersion(of: heads, isGrouped: isGrouped, resize: resize, hasStreams: hasStreams)),
            "tasks": .array(heads.map(task)),
        ]
        manifest["resize"] = resize.map(JSON.string)
        if hasStreams { manifest["streams"] = .bool(true) }
        if isGrouped { manifest["groups"] = .array(groups.map { .array($0.map(JSON.string)) }) }
        manifest["recipe"] = .object(recipe)
        return .object(manifest)
    }

    private static func task(_ head: Head) -> JSON {
        var task: JSONObject = ["name": .string(head.task), "classes": .array(head.classes.map(JSON.string))]
        if head.activation != .softmax { task["activation"] = .string(head.activation.rawValue) }
        return .object(task)
    }
}
