import Files
import Tensors
package import VisionTransformers

/// A merge as the recipe in a `bundle.json` (or an adapter's `recipe.json`) tells it, to be made again.
///
/// Whoever adds a section to recipes names its key in `RecordedMerge.keys` and reads it in `init`: a recipe with a key that
/// is not known is refused, because leaving it out would make something else.
package struct RecordedMerge: Sendable {
    /// Files in one place, with the checksums that they had.
    struct Files: Sendable {
        /// The folder, or an adapter that is a single file.
        var path: String
        /// SHA-256 by the last part of the name.
        let digests: [(name: String, sha256: String)]
    }

    /// An adapter of the merge.
    struct Item: Sendable {
        let name: String
        let weight: Double
        var files: Files
        var labels: String?
        /// The file of the head, if the user named one, with its checksum.
        var head: (path: String, sha256: String)?
        /// The last part of the name that the file of class names had, if the user named one.
        let labelsName: String?
        /// The activation of the head, if the user named it.
        let activation: HeadActivation?
    }

    /// A backbone of the bundle.
    package struct Group: Sendable {
        /// Its tasks, by name.
        package let tasks: [String]
        /// How their changes are merged.
        package let rule: MergeRule
        /// The merge that training starts from, if the method trains one.
        package let start: MergeRule?
    }

    /// The backbones; one unless tasks were merged in groups.
    package let groups: [Group]
    /// What was done with calibration images, if anything.
    package private(set) var calibration: CalibrationRecord?
    /// The file with the recipe.
    package let path: String
    private var base: Files
    private var items: [Item]

    /// The names of the adapters.
    package var adapters: [String] { items.map(\.name) }

    private static let keys: Set<String> = [
        "method", "parameters", "seed", "start", "base", "adapters", "groups", "calibration",
    ]
    private static let ruleKeys: Set<String> = ["method", "parameters", "seed", "start"]

    /// Reads a recipe.
    ///
    /// - Throws: `ModelError` naming what is missing, unknown or of the wrong kind.
    package init(path: String) throws {
        let reader = RecipeReader(path: path)
        let (recipe, groups) = try reader.recipe()
        try reader.check(recipe, has: Self.keys, in: "recipe")
        self.path = path
        let first = try Self.rules(recipe, reader)
        let base = try reader.object(recipe, "base", in: "recipe")
        try reader.check(base, has: ["path", "sha256"], in: "base")
        self.base = try reader.files(base, in: "base")
        guard let adapters = recipe["adapters"]?.arrayValue?.map(\.objectValue) else {
            throw ModelError(path, "recipe: no \"adapters\" array")
        }
        items = try adapters.map { adapter in
            guard let adapter else { throw ModelError(path, "adapters: expected objects") }
            try reader.check(
                adapter, has: ["name", "weight", "path", "labels", "head", "activation", "sha256"], in: "adapters")
            guard let weight = adapter["weight"]?.doubleValue, weight.isFinite else {
                throw ModelError(path, "adapters: weight: expected a number")
            }
            let labels = try adapter["labels"].map { _ in try reader.text(adapter, "labels", in: "adapters") }
            let head = try adapter["head"].map { _ in
                let head = try reader.object(adapter, "head", in: "adapters")
                try reader.check(head, has: ["path", "sha256"], in: "head")
                return (
                    path: try reader.text(head, "path", in: "head"), sha256: try reader.text(head, "sha256", in: "head")
                )
            }
            let activation = try adapter["activation"].map { value in
                guard let activation = value.stringValue.flatMap(HeadActivation.init(rawValue:)) else {
                    throw ModelError(path, "adapters: activation: expected one of \(HeadActivation.names)")
                }
                return activation
            }
            return Item(
                name: try reader.text(adapter, "name", in: "adapters"), weight: weight,
                files: try reader.files(adapter, in: "adapters"), labels: labels, head: head,
                labelsName: labels.map(RecipeReader.lastPart), activation: activation)
        }
        let names = items.map(\.name)
        do { try BundleGroup.checkGroups(groups ?? [names], of: names) } catch { throw ModelError(path, "\(error)") }
        let rules = try recipe["groups"].map { value in
            guard let rules = value.arrayValue?.compactMap(\.objectValue), rules.count == groups?.count else {
                throw ModelError(path, "recipe: groups: expected an object for each of the bundle's groups")
            }
            for rule in rules { try reader.check(rule, has: Self.ruleKeys, in: "groups") }
            return rules
        }
        self.groups = try (groups ?? [names]).enumerated().map { index, tasks in
            let (rule, start) = try rules.map { try Self.rules($0[index], reader) } ?? first
            return Group(tasks: tasks, rule: rule, start: start)
        }
        calibration = try recipe["calibration"].map { _ in
            try CalibrationRecord(try reader.object(recipe, "calibration", in: "recipe"), reader)
        }
        let images = Set(calibration?.images.map(\.task) ?? [])
        let usesImages =
            self.groups.contains(where: { $0.rule.method.usesImages || $0.start?.method.usesImages == true })
            || calibration?.align == true
        if usesImages, let task = names.first(where: { !images.contains($0) }) {
            throw ModelError(path, "calibration: no images for \"\(task)\"")
        }
    }

    /// The rule in a recipe, or in one of its groups, and that of the merge that training starts from.
    private static func rules(
        _ object: JSONObject, _ reader: RecipeReader
    ) throws -> (rule: MergeRule, start: MergeRule?) {
        let rule = try reader.rule(object)
        let start = try object["start"].map { _ in
            let start = try reader.object(object, "start", in: "recipe")
            try reader.check(start, has: ["method", "parameters", "seed"], in: "start")
            return try reader.rule(start)
        }
        guard rule.method.isTrained == (start != nil), start?.method.isTrained != true else {
            throw ModelError(
                reader.path,
                "start: expected the merge that \(MergeMethod.distill.name) trains, and nothing for other methods")
        }
        return (rule, start)
    }

    /// Says where the base is now.
    package mutating func move(base folder: String) { base.path = folder }

    /// Says where an adapter, or the file of its class names or head, is now.
    ///
    /// - Throws: `ModelError` when the recipe has no adapter of that name, or no such file of its own for it.
    package mutating func move(
        adapter name: String, to place: String? = nil, labels: String? = nil, head: String? = nil
    ) throws {
        guard let index = items.firstIndex(where: { $0.name == name }) else {
            let known = adapters.joined(separator: ", ")
            throw ModelError(path, "the recipe has no adapter \"\(name)\"; it has \(known)")
        }
        if let place { items[index].files.path = try AdapterSource.place(of: place) }
        if let head {
            guard items[index].head != nil else {
                throw ModelError(path, "the recipe has no file of a head for \"\(name)\" of its own")
            }
            items[index].head?.path = head
        }
        guard let labels else { return }
        guard items[index].labels != nil else {
            throw ModelError(path, "the recipe has no file of class names for \"\(name)\" of its own")
        }
        items[index].labels = labels
    }

    /// Says where the calibration images of a task are now.
    ///
    /// - Throws: `ModelError` when the recipe has no such images.
    package mutating func move(calibration task: String, to folders: [String]) throws {
        guard let index = calibration?.images.firstIndex(where: { $0.task == task }) else {
            throw ModelError(path, "the recipe has no calibration images of \"\(task)\"")
        }
        calibration?.images[index].folders = folders
    }

    /// Checks that every file is the one that the recipe was made with.
    ///
    /// - Throws: `ModelError` naming every file that is another, with the checksum that was expected and that was found, and
    ///   every file that is missing.
    package func verify() throws {
        var wrong: [String] = []
        func check(_ path: String, _ expected: String) throws(CancellationRequested) {
            do {
                let found = try SHA256.text(ofFile: path)
                if found != expected {
                    wrong.append("\(path): not the file that was merged: expected SHA-256 \(expected), found \(found)")
                }
            } catch let error as CancellationRequested {
                throw error
            } catch { wrong.append("\(error)") }
        }
        for (name, digest) in base.digests { try check("\(base.path)/\(name)", digest) }
        for item in items {
            if let head = item.head { try check(head.path, head.sha256) }
            for (name, digest) in item.files.digests {
                if let labels = item.labels, name == item.labelsName {
                    try check(labels, digest)
                } else {
                    try check(RecipeReader.place(of: name, in: item.files.path), digest)
                }
            }
        }
        guard wrong.isEmpty else { throw ModelError(path, wrong.joined(separator: "\n")) }
    }

    /// Verifies the files and opens them.
    ///
    /// - Parameters:
    ///   - preprocessor: where the base's preprocessing settings come from.
    ///   - allowsOtherBase: whether adapters are read even if they were trained over another base.
    /// - Throws: as `verify`, `Checkpoint.init` and `Adapter.init`; `ModelError` naming a file that would be read now and was not when
    ///   the recipe was made.
    package func open(
        preprocessor: PreprocessorChoice = PreprocessorChoice(), allowsOtherBase: Bool = false
    ) throws -> (base: Checkpoint, adapters: [WeightedAdapter]) {
        try verify()
        let base = try Checkpoint(folder: base.path, preprocessor: preprocessor)
        try checkNothingNew(Recipe.files(of: base), among: self.base.digests.map(\.name))
        let adapters = try items.enumerated().map { index, item in
            try LongWork.report("reading adapters", index, of: items.count)
            let adapter = try Adapter(
                task: item.name, path: item.files.path, labels: item.labels, headFile: item.head?.path,
                activation: item.activation, base: base,
                allowsOtherBase: allowsOtherBase)
            let names = item.files.digests.map { name, _ in
                if let labels = item.labels, name == item.labelsName { return labels }
                return RecipeReader.place(of: name, in: item.files.path)
            }
            try checkNothingNew(adapter.files, among: names.map(RecipeReader.lastPart))
            return WeightedAdapter(adapter, weight: item.weight)
        }
        return (base, adapters)
    }

    private func checkNothingNew(_ files: [String], among names: [String]) throws {
        for file in files where !names.contains(RecipeReader.lastPart(file)) {
            throw ModelError(file, "was not there when \(path) was made")
        }
    }
}
