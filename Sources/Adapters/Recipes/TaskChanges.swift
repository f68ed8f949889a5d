import Files
import VisionTransformers

/// What became of a bundle's tasks after its merge, as its recipe records it.
///
/// Tasks are added one by one over the same patch tokens and do not depend on each other, so their order says only
/// where they are among the tasks. A task that was added and removed again leaves nothing; one of the merge that was
/// removed still says what the patch tokens were made of.
package struct TaskChanges: Sendable, Equatable {
    /// A task that was added to a bundle with streams.
    package struct Addition: Sendable, Equatable {
        var entry: Recipe.AdapterEntry
        /// How its stream was made.
        package let streams: StreamSettings
        /// The use of calibration images, if any were used.
        package internal(set) var calibration: CalibrationUse?

        /// The task.
        package var task: String { entry.name }

        /// A task with the SHA-256 of its adapter's files.
        ///
        /// - Throws: `FileError` when a file cannot be read.
        package init(_ adapter: Adapter, _ streams: StreamSettings, calibration: CalibrationUse?) throws {
            (entry, self.streams, self.calibration) = (try .init(WeightedAdapter(adapter)), streams, calibration)
        }
    }

    /// The tasks that were added and are still there, in order.
    package internal(set) var additions: [Addition] = []
    /// The tasks of the merge that were removed, in order.
    package private(set) var removed: [String] = []
    /// The tasks of each group as they were merged, if there are several and tasks were removed; else nil.
    private(set) var mergedGroups: [[String]]?

    /// No changes.
    init() {}

    /// Whether there are any.
    package var isEmpty: Bool { additions.isEmpty && removed.isEmpty }

    /// Removes a task.
    ///
    /// - Parameter groups: the tasks of each group of the bundle before it.
    mutating func remove(_ task: String, groups: [[String]]) {
        if let index = additions.firstIndex(where: { $0.task == task }) {
            additions.remove(at: index)
        } else {
            if groups.count > 1, mergedGroups == nil { mergedGroups = groups }
            removed.append(task)
        }
    }

    /// The changes with other records of the added tasks, made one after the other.
    package func replacingAdditions(_ body: (Int, Addition) throws -> Addition) rethrows -> TaskChanges {
        var changes = self
        changes.additions = try additions.enumerated().map(body)
        return changes
    }

    // MARK: JSON

    static let keys: Set<String> = ["additions", "removed", "merged_groups"]
    private static let additionKeys: Set<String> = [
        "name", "path", "labels", "activation", "head", "sha256", "streams", "calibration",
    ]

    /// Writes the changes into a recipe, in place of those that are there.
    func write(into recipe: inout JSONObject) {
        for key in Self.keys { recipe[key] = nil }
        if !additions.isEmpty { recipe["additions"] = .array(additions.map { .object($0.json) }) }
        if !removed.isEmpty { recipe["removed"] = .array(removed.map(JSON.string)) }
        recipe["merged_groups"] = mergedGroups.map { .array($0.map { .array($0.map(JSON.string)) }) }
    }

    /// Reads the changes in a recipe.
    ///
    /// - Throws: `ModelError` naming what is missing, unknown or of the wrong kind.
    init(_ recipe: JSONObject, _ fields: RecipeFields) throws {
        func names(_ value: JSON, _ section: String) throws -> [String] {
            guard let array = value.arrayValue, case let names = array.compactMap(\.stringValue),
                names.count == array.count
            else { throw ModelError(fields.path, "\(section): expected a list of tasks") }
            return names
        }
        additions = try (recipe["additions"] ?? .array([])).elements("additions", fields).map { item in
            guard let item = item.objectValue else { throw ModelError(fields.path, "additions: expected objects") }
            try fields.check(item, has: Self.additionKeys, in: "additions")
            return try Addition(item, fields)
        }
        removed = try recipe["removed"].map { try names($0, "removed") } ?? []
        mergedGroups = try recipe["merged_groups"].map { value in
            try value.elements("merged_groups", fields).map { try names($0, "merged_groups") }
        }
    }

    /// Checks the changes against the tasks of the merge.
    ///
    /// - Throws: `ModelError` about the recipe at `path`.
    func check(merged tasks: [String], path: String) throws {
        if let unknown = removed.first(where: { !tasks.contains($0) }) {
            throw ModelError(path, "removed: \"\(unknown)\" is no task of the merge")
        }
        var names = Set(tasks.filter { !removed.contains($0) })
        for addition in additions where !names.insert(addition.task).inserted {
            throw ModelError(path, "additions: a second task \"\(addition.task)\"")
        }
    }
}

extension TaskChanges.Addition {
    fileprivate var json: JSONObject {
        var object = entry.json
        // A stream has its adapter as it is.
        object["weight"] = nil
        object["streams"] = .object(streams.json)
        object["calibration"] = (calibration?.json).map(JSON.object)
        return object
    }

    fileprivate init(_ object: JSONObject, _ fields: RecipeFields) throws {
        var adapter = object
        adapter["weight"] = .double(1)
        for key in ["streams", "calibration"] { adapter[key] = nil }
        entry = try Recipe.AdapterEntry(adapter, fields)
        streams = try StreamSettings(fields.object(object, "streams", in: "additions"), fields)
        calibration = try object["calibration"].map { _ in
            try CalibrationUse(fields.object(object, "calibration", in: "additions"), fields)
        }
        if let calibration, calibration.images.map(\.task) != [entry.name] {
            throw ModelError(fields.path, "additions: calibration: expected images of \"\(entry.name)\" alone")
        }
    }
}

extension JSON {
    /// The elements of a list in a recipe.
    fileprivate func elements(_ section: String, _ fields: RecipeFields) throws -> [JSON] {
        guard let arrayValue else { throw ModelError(fields.path, "\(section): expected a list") }
        return arrayValue
    }
}
