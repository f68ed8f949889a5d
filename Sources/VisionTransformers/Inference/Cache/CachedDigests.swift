import Files
import Glibc
import Tensors

/// The SHA-256 digests of a checkpoint's weights that an earlier run has computed, kept beside packed weights under the
/// same conditions (see `PackedCache`): a digest is used only for the file that was hashed, by size, inode number and
/// both timestamps.
package struct CachedDigests: Sendable {
    /// The file's name in the folder of packed weights.
    static let name = "sha256.json"
    private static let format = "mergevit-sha256-1"

    private let folder: PackedFolder
    private let files: [(path: String, identity: FileStatus)]
    private let settlingTime: Int

    /// The digests of a checkpoint's files and of others beside them, or nil where none are kept.
    package init?(_ checkpoint: Checkpoint, and others: [String] = [], _ use: PackedCache.Use) {
        self.init(checkpoint, and: others, use, settlingTime: PackedCache.settlingTime)
    }

    init?(_ checkpoint: Checkpoint, and others: [String] = [], _ use: PackedCache.Use, settlingTime: Int) {
        guard PackedCache.isEnabled(for: checkpoint, use) else { return nil }
        folder = PackedFolder(parent: checkpoint.folder)
        files =
            checkpoint.files.map { ($0.path, $0.file.identity) }
            + others.compactMap { path in FileStatus(path: path).map { (path, $0) } }
        self.settlingTime = settlingTime
    }

    /// The number of files.
    package var count: Int { files.count }

    /// The cached digests by path, 64 hexadecimal digits each.
    package func read() -> [String: String] {
        guard let file = try? MappedFile(path: "\(folder.path)/\(Self.name)"),
            PackedCache.isTrusted(file.identity, files.map(\.identity)),
            let object = (try? JSON(parsing: file.bytes))?.objectValue, object["format"]?.stringValue == Self.format,
            let entries = object["files"]?.objectValue
        else { return [:] }
        var digestsByPath: [String: String] = [:]
        for (path, identity) in files {
            guard let entry = entries[Self.lastPart(path)]?.objectValue,
                entry["identity"]?.stringValue == identity.description, let digest = entry["sha256"]?.stringValue,
                digest.utf8.count == 64
            else { continue }
            digestsByPath[path] = digest
        }
        return digestsByPath
    }

    /// Writes digests for the next run, unless files have just changed. Nothing that prevents writing is an error.
    ///
    /// - Parameter digests: of the files as they are, by path.
    package func write(_ digests: [String: String]) {
        guard files.allSatisfy({ $0.identity.isStill(at: $0.path, for: settlingTime) }) else { return }
        var entries = JSONObject()
        for (path, identity) in files {
            guard let digest = digests[path] else { continue }
            entries[Self.lastPart(path)] = .object([
                "identity": .string(identity.description), "sha256": .string(digest),
            ])
        }
        let text = JSON.object(["format": .string(Self.format), "files": .object(entries)]).serialized()
        let bytes = Array(text.utf8)
        _ = folder.write(Self.name, byteCount: bytes.count) { write in bytes.withUnsafeBytes(write) }
    }

    private static func lastPart(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
}
