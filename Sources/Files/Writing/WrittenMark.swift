import CExtendedAttributes
import Glibc

/// Remembers in an extended attribute of a file what was written into it, so that a file that somebody has changed
/// since is not replaced unasked.
package enum WrittenMark {
    private static let attribute = "user.mergevit.sha256"

    /// Marks an open file as holding bytes of this SHA-256. Best effort: not every file system can.
    package static func set(_ digest: String, on descriptor: Int32) {
        _ = fsetxattr(descriptor, attribute, digest, digest.utf8.count, 0)
    }

    /// Checks that a file that is there may be replaced: it is empty, or as it was when it was marked.
    ///
    /// - Throws: `OutputError.cannotWrite` when it has been changed, or was never marked.
    package static func check(_ path: BytePath) throws(OutputError) {
        guard case .success(let status) = FileStatus.of(path), status.isRegular, status.size > 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = path.withCString { getxattr($0, attribute, &buffer, buffer.count) }
        guard count > 0 else {
            throw .notOurs(path: path, reason: "it exists, and is not known to be written by mergevit")
        }
        guard digest(of: path).map({ buffer[..<count].elementsEqual($0.utf8) }) == true else {
            throw .notOurs(path: path, reason: "it has been changed since mergevit wrote it")
        }
    }

    /// The SHA-256 of a file; nil if it cannot be read.
    private static func digest(of path: BytePath) -> String? {
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var digest = SHA256()
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return digest.text }
            block.withUnsafeBytes { digest.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}
