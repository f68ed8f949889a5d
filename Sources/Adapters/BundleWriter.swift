import Glibc
import Tensors
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
    /// - Throws: `ModelError` or `TensorFileError` when something is there already, or the disk refuses; nothing is left
    ///   behind then.
    @discardableResult
    public static func write(
        _ merged: MergedBackbone, to folder: String, replaces: Bool,
        started: (@escaping @Sendable () -> Void) -> Void = { _ in }
    ) throws -> [Head] {
        let target = try AtomicFolder(folder, replaces: replaces)
        started { target.discard() }
        do {
            let heads = try heads(of: merged)
            try writeBackbone(merged, to: target.path("model.safetensors"))
            try writeHeads(heads, to: target.path(ModelBundle.headsName))
            try target.write("config.json", configuration(of: merged.base).serialized())
            let preprocessing = "\(merged.base.folder)/\(ModelBundle.preprocessingName)"
            try target.write(ModelBundle.preprocessingName, JSON(contentsOf: preprocessing).serialized())
            try target.write(ModelBundle.manifestName, manifest(merged, heads).serialized())
            try target.commit()
            return heads
        } catch {
            target.discard()
            throw error
        }
    }

    private static func heads(of merged: MergedBackbone) throws -> [Head] {
        guard merged.adapters.isEmpty else {
            return try merged.adapters.map { item in
                try ModelBundle.checkTaskName(item.adapter.task, path: item.adapter.path)
                return item.adapter.head
            }
        }
        return try merged.base.head(task: ModelBundle.plainTask).map { [$0] } ?? []
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

    private static func manifest(_ merged: MergedBackbone, _ heads: [Head]) throws -> JSON {
        .object([
            "format": "mergevit-bundle",
            "format_version": .int(ModelBundle.formatVersion),
            "tasks": .array(
                heads.map { head in
                    .object(["name": .string(head.task), "classes": .array(head.classes.map(JSON.string))])
                }),
            "recipe": try Recipe.json(merged),
        ])
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
            // Replacing removes the files of the old bundle; a folder in it is not ours to remove.
            let old = target
            if let name = Self.names(in: old).first(where: { Self.isFolder("\(old)/\($0)") }) {
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

    /// Removes the temporary folder with its files.
    func discard() { Self.remove(temporary) }

    private static func remove(_ path: String) {
        for name in names(in: path) { unlink("\(path)/\(name)") }
        rmdir(path)
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
