/// A training run that cannot start or go on: which file or folder, and why.
package struct TrainingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file or folder.
    package let path: String
    /// What was expected and what was found.
    package let reason: String

    /// An error about one file or folder.
    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    /// The path and the reason.
    package var description: String { "\(path): \(reason)" }
}
