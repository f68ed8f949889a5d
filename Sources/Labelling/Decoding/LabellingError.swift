package import Files

/// Why a run of labelling cannot start or cannot continue. A file that cannot be labelled is not one of these: it gets
/// its row.
package enum LabellingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What an earlier run has left is not of this run.
    case resume(partial: BytePath, reason: String)
    /// Files are not the parts of one run, whole and unchanged; which, and why.
    case shards(String)
    /// Options that contradict each other or the model.
    case options(String)
    /// The model failed, with its own words.
    case model(String)
    /// The system refuses something that the run needs.
    case system(String)

    /// What is wrong, in one line.
    package var description: String {
        switch self {
        case .resume(let partial, let reason): "cannot resume \(partial): \(reason)"
        case .options(let reason), .shards(let reason), .system(let reason): reason
        case .model(let reason): "the model failed: \(reason)"
        }
    }
}
