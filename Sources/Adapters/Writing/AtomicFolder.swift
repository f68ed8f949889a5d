import Files
import Glibc
import Synchronization
import Tensors
import VisionTransformers

/// A folder that is written under a temporary name beside its own and renamed when it is whole.
package final class AtomicFolder: Sendable {
    private let target: String
    private let temporary: String
    private let replaces: Bool
    private let state = Mutex(State.unfinished)

    /// What a folder is called that a bundle may replace.
    package static let bundleKind = "a bundle"

    private enum State { case unfinished, whole, discarded }

    /// A folder that is not there yet, or one that may be replaced because a file named `marker` says what it is.
    package init(
        _ folder: String, replaces: Bool, marker: String = ModelBundle.manifestName, kind: String = bundleKind
    ) throws {
        let trimmed = Self.trimmed(folder)
        target = String(trimmed)
        self.replaces = replaces
        try Self.check(target, replaces: replaces, marker: marker, kind: kind)
        let slash = trimmed.lastIndex(of: "/")
        let parent = slash.map { trimmed[...$0] } ?? ""
        let name = slash.map { trimmed[trimmed.index(after: $0)...] } ?? trimmed
        temporary = "\(parent).\(name).partial-\(getpid())"
        guard mkdir(temporary, 0o755) == 0 else {
            throw ModelError(target, "cannot be written: \(systemReason(errno))")
        }
    }

    /// Checks that a folder is not there yet, or may be replaced because a file named `marker` says what it is.
    ///
    /// - Throws: `OutputError.exists` when it exists and is not to be replaced; `ModelError` saying why it may not.
    static func check(_ folder: String, replaces: Bool, marker: String, kind: String) throws {
        let target = String(trimmed(folder))
        var status = stat()
        guard stat(target, &status) == 0 else { return }
        guard replaces else { throw OutputError.exists(path: BytePath(target)) }
        guard access("\(target)/\(marker)", F_OK) == 0 else {
            throw ModelError(target, "already exists and is not \(kind); it is not replaced")
        }
        // Replacing removes the files of the old folder; a folder in it that holds more is not ours to remove.
        if let name = names(in: target).first(where: { isForeign("\(target)/\($0)", name: $0) }) {
            throw ModelError(target, "holds the folder \"\(name)\", which no bundle does; it is not replaced")
        }
    }

    private static func trimmed(_ folder: String) -> Substring {
        var trimmed = Substring(folder)
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        return trimmed
    }

    /// Makes a folder in the folder, for a group's backbone.
    func makeFolder(_ name: String) throws {
        guard mkdir(path(name), 0o755) == 0 else {
            throw ModelError(path(name), "cannot be written: \(systemReason(errno))")
        }
    }

    /// Where a file of the folder is written.
    package func path(_ name: String) -> String { "\(temporary)/\(name)" }

    /// Writes a small text file.
    package func write(_ name: String, _ text: String) throws { try write(name, bytes: Array(text.utf8)) }

    /// Writes a small file.
    package func write(_ name: String, bytes: [UInt8]) throws { try SmallFiles.write(bytes, to: path(name)) }

    /// Copies a file into the folder.
    package func copy(_ source: String, as name: String) throws {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ModelError(source, systemReason(errno)) }
        defer { close(input) }
        let path = path(name)
        let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw ModelError(path, systemReason(errno)) }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 1 << 30)
            if count == 0 { break }
            guard count > 0 || errno == EINTR else { throw ModelError(path, systemReason(errno)) }
        }
        guard fsync(output) == 0 else { throw ModelError(path, systemReason(errno)) }
    }

    /// Gives the folder its name. One that is replaced steps aside first, and comes back if that fails.
    ///
    /// - Throws: `ModelError` when the disk refuses, or the folder was discarded by another thread.
    package func commit() throws {
        try state.withLock { state in
            guard state == .unfinished else { throw ModelError(target, "was not written: interrupted") }
            try takePlace()
            state = .whole
        }
    }

    private func takePlace() throws {
        if rename(temporary, target) == 0 { return }
        let aside = "\(temporary).replaced"
        guard replaces, errno == ENOTEMPTY || errno == EEXIST, rename(target, aside) == 0 else {
            throw ModelError(target, "cannot be written: \(systemReason(errno))")
        }
        guard rename(temporary, target) == 0 else {
            let reason = systemReason(errno)
            rename(aside, target)
            throw ModelError(target, "cannot be written: \(reason)")
        }
        Self.remove(aside)
    }

    /// Removes the temporary folder with its files, unless it is in its place already; again if another thread has just
    /// written one more. Safe to call from any thread.
    ///
    /// - Returns: whether the folder was unfinished.
    @discardableResult
    package func discard() -> Bool {
        state.withLock { state in
            guard state != .whole else { return false }
            state = .discarded
            for _ in 0..<8 where SmallFiles.isFolder(temporary) { Self.remove(temporary) }
            return true
        }
    }

    private static func remove(_ path: String) {
        for name in names(in: path) {
            let entry = "\(path)/\(name)"
            if name == PackedCache.folderName || ModelBundle.isGroupFolder(name), SmallFiles.isFolder(entry) {
                remove(entry)
            } else {
                unlink(entry)
            }
        }
        rmdir(path)
    }

    /// Whether an entry of a bundle is a folder other than a group's backbone and packed weights.
    private static func isForeign(_ path: String, name: String) -> Bool {
        guard SmallFiles.isFolder(path) else { return false }
        if name == PackedCache.folderName { return isForeignCache(path) }
        guard ModelBundle.isGroupFolder(name) else { return true }
        return names(in: path).contains { name in
            let entry = "\(path)/\(name)"
            if name == PackedCache.folderName, SmallFiles.isFolder(entry) { return isForeignCache(entry) }
            return !["config.json", "model.safetensors", QuantizedWeights.fileName].contains(name)
                || SmallFiles.isFolder(entry)
        }
    }

    /// Whether a folder has the name of packed weights but holds something else, too.
    private static func isForeignCache(_ path: String) -> Bool {
        names(in: path).contains { !PackedCache.isFile($0) || SmallFiles.isFolder("\(path)/\($0)") }
    }

    private static func names(in path: String) -> [String] { (try? SmallFiles.names(in: path)) ?? [] }
}
