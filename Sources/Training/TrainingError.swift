/// A training run that cannot start or go on: which file or folder, and why.
public struct TrainingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file or folder.
    public let path: String
    /// What was expected and what was found.
    public let reason: String

    /// An error about one file or folder.
    public init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    /// The path and the reason.
    public var description: String { "\(path): \(reason)" }
}
