import Glibc
public import Tensors
public import VisionTransformers

/// Writes bundles: a folder appears under its name whole or not at all.
public enum BundleWriter {
    /// Writes a merged backbone with its heads as a bundle.
    ///
    /// - Parameters:
    ///   - merged: the backbone; its adapters' heads become the tasks, in their order. Without adapters the base's own
    ///     head, if it has one, is the only task.
    ///   - folder: where; its parent must exist.
    ///   - replaces: whether a bundle that is there already may be replaced.
    ///   - started: is given what removes the unfinished folder, to be called when the process is told to end.
    /// - Returns: the heads that were written.
    /// - Throws: as `write(groups:order:to:replaces:started:)`.
    @discardableResult
    public static func write(
        _ merged: MergedBackbone, to folder: String, replaces: Bool,
        started: (@escaping @Sendable () -> Void) -> Void = { _ in }
    ) throws -> [Head] {
        try write(groups: [BundleGroup(merged)], to: folder, replaces: replaces, started: started)
    }

    /// Writes one or several merged backbones of one base, each with its heads, as one bundle.
    ///
    /// - Parameters:
    ///   - groups: the backbones with their heads. The first backbone is the one at the bundle's top.
    ///   - order: the order of the tasks in the bundle; that of the groups unless given.
    ///   - calibration: what was done with unlabelled images, for the recipe.
    ///   - folder: where; its parent must exist.
    ///   - replaces: whether a bundle that is there already may be replaced.
    ///   - started: is given what removes the unfinished folder, to be called when the process is told to end.
    /// - Returns: the heads that were written, in the order of the bundle.
    /// - Throws: `ModelError` or `TensorFileError` when the groups do not fit together, something is there already, or the
    ///   disk refuses; nothing is left behind then.
    @discardableResult
    public static func write(
        groups: [BundleGroup], order: [String]? = nil, calibration: JSON? = nil, to folder: String, replaces: Bool,
        started: (@escaping @Sendable () -> Void) -> Void = { _ in }
    ) throws -> [Head] {
        guard let base = groups.first?.merged.base else { throw ModelError(folder, "a bundle needs a backbone") }
        let heads = try BundleGroup.heads(of: groups, order: order)
        let target = try AtomicFolder(folder, replaces: replaces)
        started { target.discard() }
        do {
            for (index, group) in groups.enumerated() {
                let folder = ModelBundle.groupFolder(index)
                if let folder { try target.makeFolder(folder) }
                let place = folder.map { "\($0)/" } ?? ""
                try writeBackbone(group.merged, to: target.path(place + "model.safetensors"))
                try target.write(place + "config.json", configuration(of: base).serialized())
            }
            try writeHeads(heads, to: target.path(ModelBundle.headsName))
            let preprocessing = "\(base.folder)/\(ModelBundle.preprocessingName)"
            try target.write(ModelBundle.preprocessingName, JSON(contentsOf: preprocessing).serialized())
            try target.write(ModelBundle.manifestName, manifest(groups, heads, calibration).serialized())
            try target.commit()
            return heads
        } catch {
            target.discard()
            throw error
        }
    }

    /// The backbone's tensors under the names of the base's file without the model's prefix, as transformers' class without
    /// a head saves them; the base's own head is left out.
    private static func writeBackbone(_ merged: MergedBackbone, to path: String) throws {
        let stored = merged.base.storedTensors.filter { !$0.parameters.contains(where: ParameterNames.isHead) }
        let names = stored.map { ParameterNames.withoutPrefix($0.entry.name) }
        let writer = try SafetensorsWriter(
            path: path,
            declarations: zip(stored, names).map { .init(name: $1, shape: $0.entry.shape) })
        for (tensor, name) in zip(stored, names) {
            var values: [Float] = []
            for parameter in tensor.parameters {
                values += try merged.parameter(parameter).values
                merged.release(parameter)
            }
            try writer.append(name, Tensor(shape: tensor.entry.shape, values: values))
        }
        try writer.finish()
    }

    private static func writeHeads(_ heads: [Head], to path: String) throws {
        try writeSafetensors(
            heads.flatMap { [("\($0.task).weight", $0.weight), ("\($0.task).bias", $0.bias)] }, to: path)
    }

    /// The base's `config.json` as that of a backbone without a head, in 32-bit floats.
    private static func configuration(of base: Checkpoint) -> JSON {
        var object = base.configurationFile.objectValue ?? [:]
        for key in ["id2label", "label2id", "num_labels", "problem_type"] { object[key] = nil }
        object["architectures"] = .array([.string(base.configuration.family.architecture)])
        for key in ["dtype", "torch_dtype"] where object[key] != nil { object[key] = .string("float32") }
        return .object(object)
    }

    private static func manifest(_ groups: [BundleGroup], _ heads: [Head], _ calibration: JSON?) throws -> JSON {
        let isGrouped = groups.count > 1
        var manifest: JSONObject = [
            "format": "mergevit-bundle",
            "format_version": .int(isGrouped ? ModelBundle.groupedFormatVersion : ModelBundle.formatVersion),
            "tasks": .array(
                heads.map { head in
                    .object(["name": .string(head.task), "classes": .array(head.classes.map(JSON.string))])
                }),
        ]
        if isGrouped {
            manifest["groups"] = .array(groups.map { .array($0.heads.map { .string($0.task) }) })
        }
        var recipe = try Recipe.json(groups.map(\.merged), order: heads.map(\.task)).objectValue ?? [:]
        recipe["calibration"] = calibration
        manifest["recipe"] = .object(recipe)
        return .object(manifest)
    }
}

/// A folder that is written under a temporary name beside its own and renamed when it is whole.
final class AtomicFolder: Sendable {
    private let target: String
    private let temporary: String
    private let replaces: Bool

    /// A folder that is not there yet, or one that may be replaced because a file named `marker` says what it is.
    init(
        _ folder: String, replaces: Bool, marker: String = ModelBundle.manifestName, kind: String = "a bundle"
    ) throws {
        var trimmed = Substring(folder)
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        target = String(trimmed)
        self.replaces = replaces
        var status = stat()
        if stat(target, &status) == 0 {
            guard replaces, access("\(target)/\(marker)", F_OK) == 0 else {
                throw ModelError(
                    target,
                    replaces
                        ? "is there and is not \(kind); it is not replaced" : "is there already; --force replaces it")
            }
            // Replacing removes the files of the old bundle; a folder in it that holds more is not ours to remove.
            let old = target
            if let name = Self.names(in: old).first(where: { Self.isForeign("\(old)/\($0)", name: $0) }) {
                throw ModelError(old, "holds the folder \"\(name)\", which no bundle does; it is not replaced")
            }
        }
        let slash = trimmed.lastIndex(of: "/")
        let parent = slash.map { trimmed[...$0] } ?? ""
        let name = slash.map { trimmed[trimmed.index(after: $0)...] } ?? trimmed
        temporary = "\(parent).\(name).partial-\(getpid())"
        guard mkdir(temporary, 0o755) == 0 else {
            throw ModelError(target, "cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Makes a folder in the folder, for a group's backbone.
    func makeFolder(_ name: String) throws {
        guard mkdir(path(name), 0o755) == 0 else {
            throw ModelError(path(name), "cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Where a file of the folder is written.
    func path(_ name: String) -> String { "\(temporary)/\(name)" }

    /// Writes a small text file.
    func write(_ name: String, _ text: String) throws {
        let path = path(name)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ModelError(path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { throw ModelError(path, String(cString: strerror(errno))) }
            written += max(count, 0)
        }
        guard fsync(descriptor) == 0 else { throw ModelError(path, String(cString: strerror(errno))) }
    }

    /// Gives the folder its name. One that is replaced steps aside first, and comes back if that fails.
    func commit() throws {
        if rename(temporary, target) == 0 { return }
        let aside = "\(temporary).replaced"
        guard replaces, errno == ENOTEMPTY || errno == EEXIST, rename(target, aside) == 0 else {
            throw ModelError(target, "cannot be written: \(String(cString: strerror(errno)))")
        }
        guard rename(temporary, target) == 0 else {
            let reason = String(cString: strerror(errno))
            rename(aside, target)
            throw ModelError(target, "cannot be written: \(reason)")
        }
        Self.remove(aside)
    }

    /// Removes the temporary folder with its files; again if another thread has just written one more.
    func discard() {
        for _ in 0..<8 where Self.isFolder(temporary) { Self.remove(temporary) }
    }

    private static func remove(_ path: String) {
        for name in names(in: path) {
            let entry = "\(path)/\(name)"
            if ModelBundle.isGroupFolder(name), isFolder(entry) {
                for inner in names(in: entry) { unlink("\(entry)/\(inner)") }
                rmdir(entry)
            } else {
                unlink(entry)
            }
        }
        rmdir(path)
    }

    /// Whether an entry of a bundle is a folder other than a group's backbone.
    private static func isForeign(_ path: String, name: String) -> Bool {
        guard isFolder(path) else { return false }
        guard ModelBundle.isGroupFolder(name) else { return true }
        return names(in: path).contains { name in
            !["config.json", "model.safetensors"].contains(name) || isFolder("\(path)/\(name)")
        }
    }

    private static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.baseAddress.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) } ?? "."
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
