import Datasets
import Files
package import VisionTransformers

/// A project file, `mergevit.json`: a base, and the files of each task; see docs/project-file.md. Only the file itself
/// is read: what it names need not exist yet.
package struct ProjectFile: Sendable, Equatable {
    /// The usual name.
    package static let name = "mergevit.json"

    /// A task and its files.
    package struct Task: Sendable, Equatable {
        package let name: String
        /// Labelled images: a folder or a table.
        package let data: String?
        /// The adapter, or a head alone.
        package let adapter: String?
        /// The head of an adapter that was saved without one.
        package let head: String?
        /// The class names of an adapter without any.
        package let labels: String?
        /// The activation of the head.
        package let activation: HeadActivation?
        /// Unlabelled images: folders, or `drawn`, as the options take them.
        package let calibration: [String]
        /// The head that was trained over the unchanged base.
        package let headAlone: String?
    }

    /// The file.
    package let path: String
    /// The folder of the base.
    package let base: String?
    /// The tasks in their order.
    package let tasks: [Task]
    /// Unlabelled images for all tasks.
    package let calibration: [String]

    /// Reads a project file. Paths start at its folder.
    ///
    /// - Throws: `FileError` for a file that is not JSON; `ModelError` naming a key that is unknown or missing, or a
    ///   value of another kind.
    package init(contentsOf path: String) throws {
        let json: JSON
        do { json = try JSON(contentsOf: path) } catch {
            throw ModelError(error.path, error.reason, remedy: ProjectRemedy.ignoreProject)
        }
        let reader = ObjectReader(json, path: path, place: "")
        let top = try reader.object(keys: ["base", "tasks", "calibration"])
        self.path = path
        base = try reader.path(top["base"], "base")
        calibration = try reader.images(top["calibration"], "calibration")
        guard let list = top["tasks"] else { throw reader.failure("expected \"tasks\", an array of tasks") }
        guard let items = list.arrayValue else { throw reader.failure("tasks: expected an array, found \(list.kind)") }
        guard !items.isEmpty else { throw reader.failure("tasks: expected at least one task") }
        var names: Set<String> = []
        tasks = try items.enumerated().map { index, item in
            let task = try Self.task(item, path: path, place: "tasks[\(index)]")
            guard names.insert(task.name).inserted else {
                throw reader.failure("tasks: \"\(task.name)\" appears twice")
            }
            return task
        }
    }

    private static func task(_ item: JSON, path: String, place: String) throws -> Task {
        var reader = ObjectReader(item, path: path, place: place)
        let object = try reader.object(keys: [
            "name", "data", "adapter", "head", "labels", "activation", "calibration", "head_alone",
        ])
        guard let name = try reader.text(object["name"], "name") else {
            throw reader.failure("\(place): expected \"name\", the task's name")
        }
        do { try ModelBundle.checkTaskName(name, path: path) } catch let error as ModelError {
            throw reader.failure("\(place): \(error.reason)")
        }
        reader.place = "task \"\(name)\""
        let activation = try reader.text(object["activation"], "activation").map { text in
            guard let activation = HeadActivation(rawValue: text) else {
                throw reader.failure(
                    "\(reader.place): activation: expected one of \(HeadActivation.names), found \"\(text)\"")
            }
            return activation
        }
        return Task(
            name: name, data: try reader.path(object["data"], "data"),
            adapter: try reader.path(object["adapter"], "adapter"), head: try reader.path(object["head"], "head"),
            labels: try reader.path(object["labels"], "labels"), activation: activation,
            calibration: try reader.images(object["calibration"], "calibration"),
            headAlone: try reader.path(object["head_alone"], "head_alone"))
    }

    /// Whether images are not read from a place, but drawn.
    package static func isDrawn(_ place: String) -> Bool { place == "drawn" || place.hasPrefix("drawn:") }

    /// The tasks of some names, in the order of the file.
    ///
    /// - Throws: `UnknownTask` for the first name that no task has.
    package func tasks(named names: [String]) throws -> [Task] {
        if let unknown = names.first(where: { name in !tasks.contains { $0.name == name } }) {
            throw UnknownTask(unknown, tasks: tasks.map(\.name), in: path)
        }
        return tasks.filter { names.contains($0.name) }
    }
}

/// What can be done about a project file that cannot be used.
package enum ProjectRemedy: Remedy {
    /// Go without the file.
    case ignoreProject
}

/// Reads the values of an object in a project file.
private struct ObjectReader {
    private let json: JSON
    private let path: String
    /// Where the object is in the file, for messages; empty for the whole.
    var place: String

    init(_ json: JSON, path: String, place: String) { (self.json, self.path, self.place) = (json, path, place) }

    func failure(_ reason: String) -> ModelError { ModelError(path, reason, remedy: ProjectRemedy.ignoreProject) }

    /// The object, with these keys alone.
    func object(keys: [String]) throws -> JSONObject {
        let prefix = place.isEmpty ? "" : "\(place): "
        guard let object = json.objectValue else { throw failure("\(prefix)expected an object, found \(json.kind)") }
        if let unknown = object.keys.first(where: { !keys.contains($0) }) {
            let hint = NearestName.suggestion(for: unknown, among: keys).map { " (did you mean \"\($0)\"?)" } ?? ""
            throw failure("\(prefix)\"\(unknown)\" is not known\(hint); expected \(keys.joined(separator: ", "))")
        }
        return object
    }

    /// A text that is not empty, or nil if there is none.
    func text(_ value: JSON?, _ key: String) throws -> String? {
        guard let value else { return nil }
        guard let text = value.stringValue else { throw failure("\(at(key)): expected a string, found \(value.kind)") }
        guard !text.isEmpty, !text.unicodeScalars.contains("\0") else {
            throw failure("\(at(key)): expected a text, found an empty one or one with a NUL")
        }
        return text
    }

    /// A path from the folder of the file.
    func path(_ value: JSON?, _ key: String) throws -> String? { try text(value, key).map(resolved) }

    /// Images: a path or several, or `drawn`, which is not a path.
    func images(_ value: JSON?, _ key: String) throws -> [String] {
        let values: [JSON?] = if case .array(let items)? = value { items } else { [value] }
        return try values.compactMap { value in
            try text(value, key).map { ProjectFile.isDrawn($0) ? $0 : resolved($0) }
        }
    }

    private func at(_ key: String) -> String { place.isEmpty ? key : "\(place): \(key)" }

    private func resolved(_ text: String) -> String {
        guard !text.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return text }
        return path[...slash] + text
    }
}
