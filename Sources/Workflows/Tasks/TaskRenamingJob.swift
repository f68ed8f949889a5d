import Adapters
import Datasets
import Files
package import VisionTransformers

/// Renames tasks of a bundle; nothing else changes.
package struct TaskRenamingJob {
    private let bundle: String
    private let names: [(old: String, new: String)]
    private let output: String
    private let replaces: Bool

    /// A renaming.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's folder.
    ///   - names: the tasks' names and their new ones; all change at once, so that two tasks can swap theirs.
    ///   - output: where the bundle is written, which may be its own place.
    ///   - replaces: whether a bundle that is there already may be replaced.
    package init(bundle: String, names: [(old: String, new: String)], output: String, replaces: Bool) {
        (self.bundle, self.names, self.output, self.replaces) = (bundle, names, output, replaces)
    }

    /// Renames the tasks and writes the bundle.
    ///
    /// - Parameter started: is given what removes the unfinished folder, and returns whether it was unfinished.
    /// - Returns: the heads of all tasks.
    /// - Throws: `UnknownTask`; `ModelError` and other errors naming what cannot be used. Nothing is left behind.
    package func run(started: (@escaping @Sendable () -> Bool) -> Void) throws -> [Head] {
        var edited = try EditedBundle(bundle)
        if let unknown = names.first(where: { !edited.tasks.contains($0.old) }) {
            throw UnknownTask(unknown.old, tasks: edited.tasks)
        }
        try edited.rename(Dictionary(names.map { ($0.old, $0.new) }) { $1 })
        return try edited.write(to: output, replaces: replaces, started: started)
    }
}
