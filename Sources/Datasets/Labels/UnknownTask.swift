/// The error for the name of a task that a model or a file of predictions does not have.
package struct UnknownTask: Error, Equatable, Sendable, CustomStringConvertible {
    /// The name.
    package let name: String
    /// The tasks of the model or file.
    package let tasks: [String]

    private let place: String

    /// The error for one name.
    ///
    /// - Parameter place: what has the tasks.
    package init(_ name: String, tasks: [String], in place: String = "the model") {
        (self.name, self.tasks, self.place) = (name, tasks, place)
    }

    /// The name and the existing tasks, in a sentence.
    package var description: String {
        "\(place) has no task \"\(name)\"; its tasks are: \(tasks.joined(separator: ", "))"
    }
}
