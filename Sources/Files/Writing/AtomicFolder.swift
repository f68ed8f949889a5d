import Glibc
import Synchronization

/// A kind of folder that the program writes. Only a folder that is recognized as one of the same kind is replaced.
package struct FolderKind: Sendable {
    /// Its name with an article, for errors: `a bundle`.
    package let name: String
    /// The file that tells folders of this kind from others.
    package let marker: String
    /// What it may contain. Replacing it removes all of that, so a folder that contains anything else is not replaced.
    package let contents: Contents

    /// A kind of folder.
    package init(_ name: String, marker: String, contents: Contents = Contents()) {
        (self.name, self.marker, self.contents) = (name, marker, contents)
    }

    /// The files and folders that a folder may contain.
    package struct Contents: Sendable {
        /// Whether a file of this name belongs there.
        let hasFile: @Sendable (_ name: String) -> Bool
        /// What a folder of this name in it may contain; nil when no such folder belongs there.
        let folder: @Sendable (_ name: String) -> Contents?

        /// Files, any unless specified, and folders, none unless specified.
        package init(
            files: @escaping @Sendable (_ name: String) -> Bool = { _ in true },
            folders: @escaping @Sendable (_ name: String) -> Contents? = { _ in nil }
        ) {
            (hasFile, folder) = (files, folders)
        }

        /// The first entry of a folder that does not belong there, by its path in the folder: `the folder "photos"`.
        func firstForeign(in path: String, prefix: String = "") -> String? {
            for name in names(in: path) {
                let isFolder = SmallFiles.isFolder("\(path)/\(name)")
                if isFolder, let contents = folder(name) {
                    let entry = contents.firstForeign(in: "\(path)/\(name)", prefix: "\(prefix)\(name)/")
                    if let entry { return entry }
                } else if isFolder || !hasFile(name) {
                    return "\(isFolder ? "the folder " : "")\"\(prefix)\(name)\""
                }
            }
            return nil
        }

        /// Removes a folder with its files and the folders that belong there.
        func remove(_ path: String) {
            for name in names(in: path) {
                let entry = "\(path)/\(name)"
                if let contents = folder(name), SmallFiles.isFolder(entry) {
                    contents.remove(entry)
                } else {
                    unlink(entry)
                }
            }
            rmdir(path)
        }

        private func names(in path: String) -> [String] { (try? SmallFiles.names(in: path)) ?? [] }
    }
}

/// A folder that is written under a temporary name beside its own and renamed when it is complete.
package final class AtomicFolder: Sendable {
    private let target: String
    private let temporary: String
    private let kind: FolderKind
    private let replaces: Bool
    private let state = Mutex(State.unfinished)

    private enum State { case unfinished, committed, discarded }

    /// Creates the temporary folder.
    ///
    /// - Parameters:
    ///   - path: the folder; its parent must exist.
    ///   - replaces: whether an existing folder of the same kind is replaced.
    /// - Throws: `OutputError.exists`, `FileError` as `check(_:_:replaces:)`; `FileError` when the system refuses.
    package init(_ path: String, _ kind: FolderKind, replaces: Bool) throws {
        let target = SmallFiles.withoutTrailingSlashes(path)
        (self.kind, self.replaces) = (kind, replaces)
        try Self.check(target, kind, replaces: replaces)
        let slash = target.lastIndex(of: "/")
        let parent = slash.map { target[...$0] } ?? ""
        let name = slash.map { target[target.index(after: $0)...] } ?? target[...]
        self.target = target
        temporary = "\(parent).\(name).partial-\(getpid())"
        guard mkdir(temporary, 0o755) == 0 else { throw Self.cannotWrite(target) }
    }

    /// Checks that a folder does not exist yet, or may be replaced.
    ///
    /// - Throws: `OutputError.exists` when it exists and is not to be replaced; `FileError` when it is of another kind
    ///   or contains what does not belong there.
    package static func check(_ path: String, _ kind: FolderKind, replaces: Bool) throws {
        let target = SmallFiles.withoutTrailingSlashes(path)
        var status = stat()
        guard stat(target, &status) == 0 else { return }
        guard replaces else { throw OutputError.exists(path: BytePath(target)) }
        guard access("\(target)/\(kind.marker)", F_OK) == 0 else {
            throw FileError(path: target, reason: "already exists and is not \(kind.name); it is not replaced")
        }
        if let entry = kind.contents.firstForeign(in: target) {
            throw FileError(
                path: target, reason: "contains \(entry), which is no part of \(kind.name); it is not replaced")
        }
    }

    private static func cannotWrite(_ path: String) -> FileError {
        FileError(path: path, reason: "cannot be written: \(systemReason(errno))")
    }

    /// Makes a folder in the folder.
    package func makeFolder(_ name: String) throws {
        guard mkdir(path(name), 0o755) == 0 else { throw Self.cannotWrite(path(name)) }
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
        guard input >= 0 else { throw FileError(path: source) }
        defer { close(input) }
        let path = path(name)
        let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw FileError(path: path) }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 1 << 30)
            if count == 0 { break }
            guard count > 0 || errno == EINTR else { throw FileError(path: path) }
        }
        guard fsync(output) == 0 else { throw FileError(path: path) }
    }

    /// Gives the folder its name. An old folder is renamed first, and renamed back if that fails.
    ///
    /// - Throws: `FileError` when the system refuses, or the folder was discarded by another thread.
    package func commit() throws {
        try state.withLock { state in
            guard state == .unfinished else { throw FileError(path: target, reason: "was not written: interrupted") }
            try rename()
            state = .committed
        }
    }

    private func rename() throws {
        if Glibc.rename(temporary, target) == 0 { return }
        let aside = "\(temporary).replaced"
        guard replaces, errno == ENOTEMPTY || errno == EEXIST, Glibc.rename(target, aside) == 0 else {
            throw Self.cannotWrite(target)
        }
        guard Glibc.rename(temporary, target) == 0 else {
            let error = Self.cannotWrite(target)
            Glibc.rename(aside, target)
            throw error
        }
        kind.contents.remove(aside)
    }

    /// Removes the temporary folder with its files unless it has been committed; again if another thread has just
    /// written one more. Safe to call from any thread.
    ///
    /// - Returns: whether the folder was unfinished.
    @discardableResult
    package func discard() -> Bool {
        state.withLock { state in
            guard state != .committed else { return false }
            state = .discarded
            for _ in 0..<8 where SmallFiles.isFolder(temporary) { kind.contents.remove(temporary) }
            return true
        }
    }
}
