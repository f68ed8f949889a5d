/// A kernel that could not be planned or run.
package struct ComputeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was asked for.
    package let operation: String
    /// The library's reason.
    package let reason: String

    /// The operation and the reason.
    package var description: String { "\(operation): \(reason)" }
}
