import Synchronization

extension SHA256 {
    /// The digests of files that were read, by path. A merge needs that of the base several times.
    private static let cache = Mutex<[String: (identity: FileStatus, digest: String)]>([:])

    /// The SHA-256 of a file's content, as 64 hexadecimal digits.
    ///
    /// A file that has not changed since the last call is not read again. For a large file, the MiB that are done are
    /// reported to `LongWork`.
    ///
    /// - Throws: `FileError` when the file cannot be read; `CancellationRequested`.
    package static func text(ofFile path: String) throws -> String {
        let file = try MappedFile(path: path)
        if let entry = cache.withLock({ $0[path] }), entry.identity == file.identity { return entry.digest }
        let block = 1 << 24
        var digest = SHA256()
        for start in stride(from: 0, to: file.bytes.count, by: block) {
            if file.bytes.count > 4 * block {
                try LongWork.report("hashing MiB", start >> 20, of: file.bytes.count >> 20)
            }
            let range = start..<min(start + block, file.bytes.count)
            digest.add(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
            file.release(range)
        }
        let text = digest.text
        cache.withLock { $0[path] = (file.identity, text) }
        return text
    }

    /// The SHA-256 of files as a JSON object, by the last part of their paths.
    ///
    /// - Throws: `FileError` when a file cannot be read; `CancellationRequested`.
    package static func json(ofFiles paths: [String]) throws -> JSON {
        var object = JSONObject()
        for path in paths {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            object[name] = .string(try text(ofFile: path))
        }
        return .object(object)
    }
}
