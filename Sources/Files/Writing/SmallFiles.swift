import Glibc

/// Folders and small files that are written by us: listing, writing whole, flushing.
package enum SmallFiles {
    /// The names of a folder's entries, in the order that the system gives.
    ///
    /// - Throws: `FileError` when the folder cannot be read.
    package static func names(in folder: String) throws(FileError) -> [String] {
        guard let listing = opendir(folder) else { throw FileError(path: folder) }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.baseAddress.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) } ?? "."
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Whether a path is a folder.
    ///
    /// - Parameter followsLinks: whether a link to a folder is one, too.
    package static func isFolder(_ path: String, followsLinks: Bool = false) -> Bool {
        var status = stat()
        let isThere = followsLinks ? stat(path, &status) == 0 : lstat(path, &status) == 0
        return isThere && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The folder that the path of a file names: `.` for a name alone.
    package static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<max($0, path.index(after: path.startIndex))]) } ?? "."
    }

    /// The last part of a path: the name of the file or folder.
    package static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// A path without the slashes at its end; "/" remains.
    package static func withoutTrailingSlashes(_ path: String) -> String {
        var path = path[...]
        while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        return String(path)
    }

    /// Writes a new file and flushes it to the disk.
    ///
    /// - Parameter replaces: a file that is there is written over; else it is an error.
    /// - Throws: `FileError` when the system refuses.
    package static func write(_ bytes: [UInt8], to path: String, replaces: Bool = false) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (replaces ? O_TRUNC : O_EXCL), 0o644)
        guard descriptor >= 0 else { throw FileError(path: path) }
        defer { close(descriptor) }
        try append(bytes, to: descriptor, path)
        guard fsync(descriptor) == 0 else { throw FileError(path: path) }
    }

    /// Writes all the bytes to an open file, whose path is for errors.
    ///
    /// - Throws: `FileError` when the system refuses.
    package static func append(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(FileError) {
        guard let failure = bytes.withUnsafeBytes({ FileWriting.writeAll($0, to: descriptor) }) else { return }
        throw FileError(path: path, reason: systemReason(failure))
    }
}
