package import Files

/// Why a run cannot start or cannot continue. A file that cannot be labelled is no such error: it gets its row.
package enum LabellingError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The rows of an earlier run do not belong to this run.
    case resume(partial: BytePath, reason: String)
    /// Files are not the whole and unchanged parts of one run.
    case shards(String)
    /// A manifest, which every shard has, cannot be read.
    case manifest(path: BytePath, reason: String)
    /// Options contradict each other or the model.
    case options(String)
    /// The name of a class is empty or contains the separator of the labels in a cell.
    case labelSeparator(String, class: String, task: String)
    /// Fits are asked for, and a task, or no task at all, has one.
    case noFit(task: String?)
    /// A shard or a manifest is asked for, and the rows do not go to a regular file.
    case needsFile
    /// The rows of a finished run cannot be taken for this run.
    case reuse(path: BytePath, reason: String)
    /// Features are asked for, and they or the rows do not go to a regular file.
    case featuresNeedFile
    /// A feature is not finite as a 16-bit float.
    case feature(path: BytePath, column: Int, value: Float)
    /// The model failed, with its error in words.
    case model(String)
    /// The system refuses a resource that the run needs.
    case system(String)

    /// The problem in one line.
    package var description: String {
        switch self {
        case .resume(let partial, let reason): "cannot resume \(partial): \(reason)"
        case .manifest(let path, let reason): "\(path): \(reason)"
        case .labelSeparator(let separator, let name, let task):
            "class \"\(name)\" of task \"\(task)\" is empty or contains the label separator \"\(separator)\""
        case .noFit(let task):
            task.map { "task \"\($0)\" has no fit" } ?? "no task that is written has a fit"
        case .needsFile: "a shard and a manifest need an output that is a regular file"
        case .reuse(let path, let reason): "cannot take rows of \(path): \(reason)"
        case .featuresNeedFile: "features need regular files, for themselves and for the rows"
        case .feature(let path, let column, let value):
            "\(path): feature \(column) is \(value), which is not finite as a 16-bit float"
        case .options(let reason), .shards(let reason), .system(let reason): reason
        case .model(let reason): "the model failed: \(reason)"
        }
    }
}
