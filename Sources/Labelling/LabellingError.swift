/// Why a run cannot start or cannot go on. A file that cannot be labelled is not one of these: it gets its row.
package enum LabellingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The output cannot be created or written.
    case output(path: BytePath, reason: String)
    /// What an earlier run has left is not of this run.
    case resume(partial: BytePath, reason: String)
    /// An input that was named is not there.
    case input(path: BytePath, reason: String)
    /// There are no inputs.
    case noInputs(String)
    /// The list of files cannot be read.
    case fileList(path: BytePath, reason: String)
    /// Labelled images, or the table that names them, cannot be used.
    case labelledImages(path: BytePath, reason: String)
    /// Files are not the parts of one run, whole and unchanged; which, and why.
    case shards(String)
    /// A file of predictions is not what `label` writes, or does not fit the data.
    case predictions(path: BytePath, reason: String)
    /// `--tasks` names a task that the model has not.
    case unknownTask(name: String, known: [String])
    /// Options that contradict each other or the model.
    case options(String)
    /// The model failed, with its own words.
    case model(String)
    /// The system refuses something that the run needs.
    case system(String)
    /// Nobody reads the output any more (EPIPE); not a failure for a command in a pipe.
    case outputClosed

    /// What is wrong, in one line.
    package var description: String {
        switch self {
        case .output(let path, let reason): "cannot write \(path): \(reason)"
        case .resume(let partial, let reason): "cannot go on with \(partial): \(reason); --restart drops it"
        case .fileList(let path, let reason): "cannot read the list of files \(path): \(reason)"
        case .labelledImages(let path, let reason), .predictions(let path, let reason): "\(path): \(reason)"
        case .unknownTask(let name, let known):
            "the model has no task \"\(name)\"; its tasks are: \(known.joined(separator: ", "))"
        case .input(let path, let reason): "\(path): \(reason)"
        case .options(let reason), .shards(let reason), .noInputs(let reason): reason
        case .model(let reason): "the model failed: \(reason)"
        case .system(let reason): reason
        case .outputClosed: "nobody reads the output any more"
        }
    }
}
