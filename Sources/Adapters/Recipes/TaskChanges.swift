import Files
import VisionTransformers

/// What became of a bundle's tasks after its merge, as its recipe records it.
///
/// Tasks are added one by one and do not depend on each other, so their order says only where they are among the tasks.
/// A task that was added and removed again leaves nothing; one of the merge that was removed still says what its
/// backbone was made of. Tasks of the merge keep the names that they were merged by, on which random numbers depend:
/// `renamed` has their names now. A task that was added is recorded under its name now.
package struct TaskChanges: Sendable, Equatable {
    /// What the head of an added task reads.
    package enum Form: Sendable, Equatable {
        /// A stream of its own over the patch tokens of the merge.
        case stream(StreamSettings)
        /// What the merge's first backbone gives, over which it was trained.
        case merge
        /// A backbone of its own: the base with its adapter.
        case own
    }

    /// A task that was added.
    package struct Addition: Sendable, Equatable {
        var entry: Recipe.AdapterEntry
        /// What its head reads.
        package let form: Form
        /// The use of calibration images, if any were used.
        package internal(set) var calibration: CalibrationUse?

        /// The task.
        package var task: String { entry.name }

        /// A task with the SHA-256 of its adapter's files.
        ///
        /// - Throws: `FileError` when a file cannot be read.
        package init(_ adapter: Adapter, _ form: Form, calibration: CalibrationUse?) throws {
            (entry, self.form, self.calibration) = (try .init(WeightedAdapter(adapter)), form, calibration)
        }

        fileprivate mutating func rename(_ name: String) {
            let old = task
            calibration?.rename(old, to: name)
            entry.name = name
        }
    }

    /// The tasks that were added and are still there, in order.
    package internal(set) var additions: [Addition] = []
    /// The tasks of the merge that were removed, in order.
    package private(set) var removed: [String] = []
    /// The names now of tasks of the merge, by those that they were merged by.
    package private(set) var renamed: [String: String] = [:]
    /// The tasks of each group as they were merged, where those of the bundle do not say; else nil.
    private(set) var mergedGroups: [[String]]?

    /// No changes.
    init() {}

    /// Whether there are any.
    package var isEmpty: Bool { additions.isEmpty && removed.isEmpty && renamed.isEmpty }

    /// Whether no task of the merge's first group is left, so that the bundle's first backbone is another.
    var isFirstGroupGone: Bool {
        guard let first = mergedGroups?.first, !additions.contains(where: { $0.form == .merge }) else { return false }
        return first.allSatisfy(removed.contains)
    }

    // MARK: Changing

    /// Adds a task.
    ///
    /// - Parameter groups: the tasks of each group of the bundle before it.
    mutating func add(_ addition: Addition, groups: [[String]]) {
        if groups.count > 1 || addition.form == .own { keep(groups) }
        additions.append(addition)
    }

    /// Removes a task.
    ///
    /// - Parameter groups: the tasks of each group of the bundle before it.
    mutating func remove(_ task: String, groups: [[String]]) {
        if let index = additions.firstIndex(where: { $0.task == task }) {
            additions.remove(at: index)
        } else {
            if groups.count > 1 { keep(groups) }
            let merged = mergedName(of: task)
            renamed[merged] = nil
            removed.append(merged)
        }
        if isEmpty { mergedGroups = nil }
    }

    /// Renames tasks, all at once.
    ///
    /// - Parameters:
    ///   - names: the new names, by the old ones.
    ///   - groups: the tasks of each group of the bundle before it.
    mutating func rename(_ names: [String: String], groups: [[String]]) {
        if groups.count > 1 { keep(groups) }
        let added = Set(additions.map(\.task))
        for index in additions.indices { names[additions[index].task].map { additions[index].rename($0) } }
        let merged = names.filter { !added.contains($0.key) }.map { (mergedName(of: $0.key), $0.value) }
        for (name, new) in merged { renamed[name] = new == name ? nil : new }
        if isEmpty { mergedGroups = nil }
    }

    /// The name that a task of the merge was merged by.
    private func mergedName(of task: String) -> String { renamed.first { $0.value == task }?.key ?? task }

    /// Records the groups of the merge, before they are more than those that it made. Of a single group its tasks may
    /// have been removed, renamed and added to already.
    private mutating func keep(_ groups: [[String]]) {
        guard mergedGroups == nil else { return }
        let added = Set(additions.map(\.task))
        var merged = groups.map { $0.filter { !added.contains($0) }.map(mergedName(of:)) }
        if merged.count == 1 { merged[0] += removed }
        mergedGroups = merged
    }

    /// The changes with other records of the added tasks, made one after the other.
    package func replacingAdditions(_ body: (Int, Addition) throws -> Addition) rethrows -> TaskChanges {
        var changes = self
        changes.additions = try additions.enumerated().map(body)
        return changes
    }

    /// The tasks of the bundle, in order, given those of the merge.
    func tasks(merged: [String]) -> [String] {
        merged.filter { !removed.contains($0) }.map { renamed[$0] ?? $0 } + additions.map(\.task)
    }

    // MARK: JSON

    static let keys: Set<String> = ["additions", "removed", "renamed", "merged_groups"]
    private static let additionKeys: Set<String> = [
        "name", "path", "labels", "activation", "head", "sha256", "streams", "reads", "calibration",
    ]

    /// Writes the changes into a recipe, in place of those that are there.
    func write(into recipe: inout JSONObject) {
        for key in Self.keys { recipe[key] = nil }
        if !additions.isEmpty { recipe["additions"] = .array(additions.map { .object($0.json) }) }
        if !removed.isEmpty { recipe["removed"] = .array(removed.map(JSON.string)) }
        if !renamed.isEmpty {
            recipe["renamed"] = .object(
                renamed.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
        }
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
        for (name, new) in try recipe["renamed"].map({ _ in try fields.object(recipe, "renamed", in: "recipe") })?
            .members ?? []
        {
            guard let new = new.stringValue else {
                throw ModelError(fields.path, "renamed: \(name): expected the name of a task")
            }
            renamed[name] = new
        }
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
        for name in renamed.keys.sorted() where !tasks.contains(name) || removed.contains(name) {
            throw ModelError(path, "renamed: \"\(name)\" is no task of the merge, or was removed")
        }
        var names: Set<String> = []
        for (index, task) in self.tasks(merged: tasks).enumerated() where !names.insert(task).inserted {
            let section = index < tasks.count - removed.count ? "renamed" : "additions"
            throw ModelError(path, "\(section): a second task \"\(task)\"")
        }
    }
}

extension TaskChanges.Addition {
    fileprivate var json: JSONObject {
        var object = entry.json
        // An adapter of its own is merged with no other.
        object["weight"] = nil
        switch form {
        case .stream(let settings): object["streams"] = .object(settings.json)
        case .merge: object["reads"] = "merge"
        case .own: object["reads"] = "own"
        }
        object["calibration"] = (calibration?.json).map(JSON.object)
        return object
    }

    fileprivate init(_ object: JSONObject, _ fields: RecipeFields) throws {
        var adapter = object
        adapter["weight"] = .double(1)
        for key in ["streams", "reads", "calibration"] { adapter[key] = nil }
        entry = try Recipe.AdapterEntry(adapter, fields)
        switch try object["reads"].map({ _ in try fields.text(object, "reads", in: "additions") }) {
        case nil: form = .stream(try StreamSettings(fields.object(object, "streams", in: "additions"), fields))
        case "merge" where object["streams"] == nil: form = .merge
        case "own" where object["streams"] == nil: form = .own
        case let other?:
            throw ModelError(
                fields.path, "additions: reads: expected \"merge\" or \"own\", without streams, found \"\(other)\"")
        }
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
    func elements(_ section: String, _ fields: RecipeFields) throws -> [JSON] {
        guard let arrayValue else { throw ModelError(fields.path, "\(section): expected a list") }
        return arrayValue
    }
}
