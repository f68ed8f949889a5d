package import Files

/// Why a run cannot start or cannot continue. A file that cannot be labelled is no such error: it gets its row.
package enum LabellingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The rows of an earlier run do not belong to this run.
    case resume(partial: BytePath, reason: String)
    /// Files are not the whole and unchanged parts of one run.
    case shards(String)
    /// Options contradict each other or the model.
    case options(String)
    /// The model failed, with its error in words.
    case model(String)
    /// The system refuses a resource that the run needs.
    case system(String)

    /// The problem in one line.
    package var description: String {
        switch self {
        case .resume(let partial, let reason): "cannot resume \(partial): \(reason)"
        case .options(let reason), .shards(let reason), .system(let reason): reason
        case .model(let reason): "the model failed: \(reason)"
        }
    }
}
