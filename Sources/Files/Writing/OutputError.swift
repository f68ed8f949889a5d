/// Why an output cannot be written.
package enum OutputError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It cannot be created, written or put in its place.
    case cannotWrite(path: BytePath, reason: String)
    /// A file exists there that is not known to be as mergevit wrote it, so it is not replaced unless the caller forces it.
    case notOurs(path: BytePath, reason: String)
    /// Nobody reads the output any more (EPIPE), which is no failure for a command in a pipe.
    case closed

    /// What is wrong, in one line.
    package var description: String {
        switch self {
        case .cannotWrite(let path, let reason), .notOurs(let path, let reason): "cannot write \(path): \(reason)"
        case .closed: "nobody reads the output any more"
        }
    }
}
