import Glibc

/// A file that cannot be used: which file, and why.
package struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package let path: String
    /// What was expected and what was found.
    package let reason: String

    /// An error about one file.
    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    /// An error about one file, whose path may be in any encoding.
    package init(path: BytePath, reason: String) { self.init(path: "\(path)", reason: reason) }

    /// The path and the reason.
    package var description: String { "\(path): \(reason)" }
}

extension FileError {
    /// The system's last error about a file.
    package init(path: String) { self.init(path: path, reason: systemReason(errno)) }
}
