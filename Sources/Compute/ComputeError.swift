/// A kernel that could not be planned or run.
public struct ComputeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was asked for.
    public let operation: String
    /// The library's reason.
    public let reason: String

    /// The operation and the reason.
    public var description: String { "\(operation): \(reason)" }
}
