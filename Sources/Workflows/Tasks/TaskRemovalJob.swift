import Adapters
import Datasets
import Files
package import VisionTransformers

/// Removes tasks from a bundle; nothing of the others changes.
package struct TaskRemovalJob {
    private let bundle: String
    private let tasks: [String]
    private let output: String
    private let replaces: Bool

    /// A removal.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's folder.
    ///   - tasks: the names of the tasks.
    ///   - output: where the bundle is written, which may be its own place.
    ///   - replaces: whether a bundle that is there already may be replaced.
    package init(bundle: String, tasks: [String], output: String, replaces: Bool) {
        (self.bundle, self.tasks, self.output, self.replaces) = (bundle, tasks, output, replaces)
    }

    /// Removes the tasks and writes the bundle.
    ///
    /// - Parameter started: is given what removes the unfinished folder, and returns whether it was unfinished.
    /// - Returns: the heads of the tasks that are left.
    /// - Throws: `UnknownTask`; `ModelError` and other errors naming what cannot be used. Nothing is left behind.
    package func run(started: (@escaping @Sendable () -> Bool) -> Void) throws -> [Head] {
        var edited = try EditedBundle(bundle)
        if let unknown = tasks.first(where: { !edited.tasks.contains($0) }) {
            throw UnknownTask(unknown, tasks: edited.tasks)
        }
        try edited.remove(tasks)
        return try edited.write(to: output, replaces: replaces, started: started)
    }
}
