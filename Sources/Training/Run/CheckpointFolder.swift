package import Files
import Glibc
import Tensors
package import VisionTransformers

/// The content of a checkpoint.
struct CheckpointContent {
    /// The progress of the run.
    var state: JSONObject
    /// The tensors that the run resumes from.
    var tensors: [(name: String, tensor: Tensor)]
}

/// An earlier run to the same output was interrupted, and is neither to be resumed nor discarded.
package struct UnfinishedRun: Error, Equatable, Sendable, CustomStringConvertible {
    /// The folder of its checkpoint.
    package let path: String

    /// An error about a checkpoint.
    package init(path: String) { self.path = path }

    /// The path and what is there.
    package var description: String { "\(path): holds an unfinished run" }
}

/// The checkpoint of a run: a folder `.NAME.training` beside the run's output.
///
/// `checkpoint.json` holds the progress and the settings of the run, and the name of the safetensors file with the
/// tensors. That file is written and synced first; then a rename replaces the JSON. So a run that is killed at any
/// moment leaves one complete checkpoint.
package struct CheckpointFolder: Sendable {
    /// The folder.
    package let path: String
    /// Identifies the run: options, data and base by the names that users know. Checkpoints of another run are refused.
    private let binding: JSONObject

    private static let formatName = "mergevit-training-checkpoint"
    private static let formatVersion = 1

    /// The checkpoints of the run whose result goes to `output`.
    package init(output: String, binding: JSONObject) {
        path = Self.path(output: output)
        self.binding = binding
    }

    /// The folder for the run whose result goes to `output`.
    package static func path(output: String) -> String {
        var trimmed = Substring(output)
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return ".\(trimmed).training" }
        return "\(trimmed[...slash]).\(trimmed[trimmed.index(after: slash)...]).training"
    }

    /// Whether there is a checkpoint for the run whose result goes to `output`.
    package static func isThere(output: String) -> Bool { access("\(path(output: output))/checkpoint.json", F_OK) == 0 }

    /// Creates the folder for the run whose result goes to `output`, unless it exists.
    ///
    /// - Throws: `ModelError` when it cannot be created.
    package static func create(output: String) throws(ModelError) {
        let path = path(output: output)
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw ModelError(output, "cannot be written: \(systemReason(errno))")
        }
    }

    /// Removes the folder if it is empty.
    package static func removeIfEmpty(output: String) { rmdir(path(output: output)) }

    /// Replaces the checkpoint.
    ///
    /// - Parameters:
    ///   - content: the run's state.
    ///   - moment: a name for the progress of the run; the same name has the same content.
    /// - Throws: `ModelError` or `FileError` when writing fails; the previous checkpoint is then intact.
    func save(_ content: CheckpointContent, moment: String) throws {
        let name = "state-\(moment).safetensors"
        let old = Self.names(in: path)
        // The file that the current checkpoint names must not change.
        if old.contains(name), (try? manifest())?["tensors"]?.stringValue == name { return }
        try writeSafetensors(content.tensors, to: "\(path)/\(name)")
        let manifest: JSONObject = [
            "format": .string(Self.formatName), "format_version": .int(Self.formatVersion), "tensors": .string(name),
            "run": .object(binding), "state": .object(content.state),
        ]
        try write(JSON.object(manifest).serialized())
        for other in old where other.hasPrefix("state-") && other != name { unlink("\(path)/\(other)") }
    }

    /// The checkpoint, or nil if there is none.
    ///
    /// - Throws: `ModelError` when it is damaged or of another run, naming the differences; `FileError`.
    func content() throws -> CheckpointContent? {
        guard access("\(path)/checkpoint.json", F_OK) == 0 else { return nil }
        let manifest = try manifest()
        let file = "\(path)/checkpoint.json"
        guard manifest["format"]?.stringValue == Self.formatName,
            manifest["format_version"]?.intValue == Self.formatVersion
        else { throw ModelError(file, "not a checkpoint of this version of mergevit") }
        guard let run = manifest["run"]?.objectValue, let state = manifest["state"]?.objectValue,
            let name = manifest["tensors"]?.stringValue, name.hasPrefix("state-"), !name.contains("/")
        else { throw ModelError(file, "damaged: expected \"run\", \"state\" and \"tensors\"") }
        let difference = settingsDifference(run, binding, missing: "not given")
        guard difference.isEmpty else { throw ModelError(path, "belongs to another run: \(difference)") }
        let tensors = try SafetensorsFile(path: "\(path)/\(name)")
        return CheckpointContent(
            state: state, tensors: try tensors.entries.map { ($0.name, try tensors.tensor($0.name)) })
    }

    /// The error for a damaged checkpoint.
    package func damage(_ reason: String) -> ModelError {
        ModelError("\(path)/checkpoint.json", "damaged: \(reason)")
    }

    /// Removes the checkpoint and its folder.
    package func remove() { Self.remove(path) }

    /// Removes the checkpoint of the run whose result goes to `output`.
    package static func remove(output: String) { remove(path(output: output)) }

    private static func remove(_ path: String) {
        for name in names(in: path) where name.hasPrefix("state-") || name.hasPrefix("checkpoint.json") {
            unlink("\(path)/\(name)")
        }
        rmdir(path)
    }

    private func manifest() throws -> JSONObject {
        let file = "\(path)/checkpoint.json"
        guard let object = try JSON(contentsOf: file).objectValue else {
            throw ModelError(file, "damaged: expected an object")
        }
        return object
    }

    /// Replaces `checkpoint.json` with a rename.
    private func write(_ text: String) throws {
        let partial = "\(path)/checkpoint.json.partial"
        try SmallFiles.write(Array(text.utf8), to: partial, replaces: true)
        let target = BytePath("\(path)/checkpoint.json")
        if let code = FileWriting.rename(BytePath(partial), to: target, syncs: true) {
            throw ModelError(partial, systemReason(code))
        }
    }

    private static func names(in path: String) -> [String] { (try? SmallFiles.names(in: path)) ?? [] }
}
