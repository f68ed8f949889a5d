/// The error for the name of a task that a model or a file of predictions does not have.
package struct UnknownTask: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name.
    package let name: String
    /// The tasks of the model or file.
    package let tasks: [String]

    /// The error for one name.
    package init(_ name: String, tasks: [String]) { (self.name, self.tasks) = (name, tasks) }

    /// The name and the existing tasks, in a sentence.
    package var description: String {
        "the model has no task \"\(name)\"; its tasks are: \(tasks.joined(separator: ", "))"
    }
}
