/// A task was named that a model or a file of predictions does not have.
package struct UnknownTask: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name.
    package let name: String
    /// The tasks that there are.
    package let tasks: [String]

    /// An error about one name.
    package init(_ name: String, tasks: [String]) { (self.name, self.tasks) = (name, tasks) }

    /// The name and the tasks that there are.
    package var description: String {
        "the model has no task \"\(name)\"; its tasks are: \(tasks.joined(separator: ", "))"
    }
}
