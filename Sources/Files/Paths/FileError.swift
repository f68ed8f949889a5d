import Glibc

/// A file that cannot be used: which file, and why.
package struct FileError: ErrorWithRemedy, Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package let path: String
    /// What was expected and what was found.
    package let reason: String
    package let remedy: (any Remedy)?

    /// An error about one file.
    package init(path: String, reason: String, remedy: (any Remedy)? = nil) {
        self.path = path
        self.reason = reason
        self.remedy = remedy
    }

    /// An error about one file, whose path may be in any encoding.
    package init(path: BytePath, reason: String, remedy: (any Remedy)? = nil) {
        self.init(path: "\(path)", reason: reason, remedy: remedy)
    }

    /// The path and the reason.
    package var description: String { "\(path): \(reason)" }

    package static func == (one: FileError, other: FileError) -> Bool {
        one.path == other.path && one.reason == other.reason
            && one.remedy.map { AnyHashable($0) } == other.remedy.map { AnyHashable($0) }
    }
}

extension FileError {
    /// The system's last error about a file.
    package init(path: String) { self.init(path: path, reason: systemReason(errno)) }
}
