package import Files
import VisionTransformers

/// How a bundle or a merged adapter was made: everything that is needed to make it again, and to know that it is the
/// same.
///
/// A recipe with a key that is not known is refused: to leave it out would make something else. A new section is added
/// to `json`, to `init` and to `keys`, side by side below.
package struct Recipe: Sendable, Equatable {
    /// A file and its checksum.
    struct Digest: Sendable, Equatable {
        /// The last part of the file's path.
        let name: String
        let sha256: String
    }

    /// Files in one folder.
    struct Files: Sendable, Equatable {
        /// The folder, or an adapter that is a single file.
        var path: String
        let digests: [Digest]
    }

    /// The file of a head that the user named.
    struct HeadFile: Sendable, Equatable {
        var path: String
        let sha256: String
    }

    /// An adapter of the merge.
    struct AdapterEntry: Sendable, Equatable {
        var name: String
        let weight: Double
        var files: Files
        /// The file of class names, if the user named one.
        var labels: String?
        /// The last part of that file's path when the recipe was made.
        let labelsName: String?
        /// The activation of the head, if the user named it.
        let activation: HeadActivation?
        /// The file of the head, if the user named one.
        var head: HeadFile?
    }

    /// A backbone of the bundle.
    package struct Group: Sendable, Equatable {
        /// Its tasks, by name.
        package let tasks: [String]
        /// How their adapters are merged.
        package let plan: MergePlan
    }

    /// The files of the base.
    var base: Files
    /// The adapters of all groups in the order of the bundle.
    var entries: [AdapterEntry]
    /// The backbones; one unless tasks were merged in groups.
    package let groups: [Group]
    /// The use of calibration images, if any were used.
    package internal(set) var calibration: CalibrationUse?
    /// What became of the tasks after the merge.
    package var changes = TaskChanges()

    /// The names of all adapters, merged or added.
    package var adapters: [String] {
        let merged = entries.map(\.name)
        return merged + changes.additions.map(\.task).filter { !merged.contains($0) }
    }

    /// The tasks in the order of the bundle.
    package var tasks: [String] { changes.tasks(merged: entries.map(\.name)) }

    init(base: Files, entries: [AdapterEntry], groups: [Group], calibration: CalibrationUse?) {
        (self.base, self.entries, self.groups, self.calibration) = (base, entries, groups, calibration)
    }

    // MARK: JSON

    private static let keys: Set<String> = MergePlan.keys.union(TaskChanges.keys).union([
        "format_version", "base", "adapters", "groups", "calibration",
    ])

    /// The recipe as a manifest holds it. The names of each group's tasks are in the manifest itself; plans that differ
    /// between groups are listed as `groups`.
    package var json: JSONObject {
        var object = JSONObject()
        if groups.contains(where: \.plan.needsVersion2) { object["format_version"] = .int(2) }
        let plans = groups.map(\.plan)
        for (key, value) in plans.first?.json.members ?? [] { object[key] = value }
        object["base"] = .object(base.json)
        object["adapters"] = .array(entries.map { .object($0.json) })
        object["calibration"] = (calibration?.json).map(JSON.object)
        if plans.contains(where: { $0 != plans[0] }) { object["groups"] = .array(plans.map { .object($0.json) }) }
        changes.write(into: &object)
        return object
    }

    /// The recipe in a manifest.
    ///
    /// - Parameters:
    ///   - groups: the names of the tasks of each group of the bundle, or nil for one group of all.
    ///   - path: the manifest, for errors.
    /// - Throws: `ModelError` naming what is missing, unknown or of the wrong kind.
    package init(json object: JSONObject, groups taskGroups: [[String]]?, path: String) throws {
        let fields = RecipeFields(path: path)
        try fields.check(object, has: Self.keys, in: "recipe")
        let version = object["format_version"] ?? .int(1)
        guard let version = version.intValue, 1...2 ~= version else {
            throw ModelError(
                path, "recipe: format_version: expected 1 or 2, found \(version.serialized(indented: false))")
        }
        let first = try MergePlan(object, version: version, fields)
        base = try Files(base: object, fields)
        guard let adapters = object["adapters"]?.arrayValue else {
            throw ModelError(path, "recipe: no \"adapters\" array")
        }
        entries = try adapters.map { adapter in
            guard let adapter = adapter.objectValue else { throw ModelError(path, "adapters: expected objects") }
            return try AdapterEntry(adapter, fields)
        }
        let names = entries.map(\.name)
        changes = try TaskChanges(object, fields)
        try changes.check(merged: names, path: path)
        let taskGroups = changes.mergedGroups ?? taskGroups
        do { try BundleGroup.checkGroups(taskGroups ?? [names], of: names) } catch {
            throw ModelError(path, "\(error)")
        }
        let plans = try object["groups"].map { value in
            guard let plans = value.arrayValue?.compactMap(\.objectValue), plans.count == taskGroups?.count else {
                throw ModelError(path, "recipe: groups: expected an object for each of the bundle's groups")
            }
            return try plans.map { plan in
                try fields.check(plan, has: MergePlan.keys, in: "groups")
                return try MergePlan(plan, version: version, fields)
            }
        }
        groups = (taskGroups ?? [names]).enumerated().map { Group(tasks: $1, plan: plans?[$0] ?? first) }
        calibration = try object["calibration"].map { _ in
            try CalibrationUse(fields.object(object, "calibration", in: "recipe"), fields)
        }
        let images = Set(calibration?.images.map(\.task) ?? [])
        if groups.contains(where: \.plan.usesImages) || calibration?.align == true,
            let task = names.first(where: { !images.contains($0) })
        {
            throw ModelError(path, "calibration: no images for \"\(task)\"")
        }
    }

    /// The recipe in a `bundle.json`, or in the `recipe.json` of a merged adapter.
    ///
    /// - Throws: `FileError`; `ModelError` naming what is missing, unknown or of the wrong kind.
    package init(contentsOf path: String) throws {
        let fields = RecipeFields(path: path)
        guard let manifest = try JSON(contentsOf: path).objectValue else {
            throw ModelError(path, "expected an object")
        }
        let isGrouped = manifest["groups"] != nil
        let formats = [
            "mergevit-bundle": [
                isGrouped ? ModelBundle.groupedFormatVersion : ModelBundle.formatVersion,
                ModelBundle.activationFormatVersion, ModelBundle.streamsFormatVersion,
            ],
            "mergevit-adapter": [1],
        ]
        let format = manifest["format"]?.stringValue ?? "none"
        guard let versions = formats[format] else {
            throw ModelError(
                path, "format: expected \(formats.keys.sorted().joined(separator: " or ")), found \(format)")
        }
        guard let version = manifest["format_version"]?.intValue, versions.contains(version) else {
            let expected = versions.map(String.init).joined(separator: " or ")
            let found = manifest["format_version"]?.serialized(indented: false) ?? "none"
            throw ModelError(path, "format_version: expected \(expected), found \(found)")
        }
        try fields.check(
            manifest, has: ["format", "format_version", "tasks", "groups", "resize", "streams", "recipe"],
            in: "the manifest")
        let groups = try manifest["groups"].map { value in
            guard let groups = value.arrayValue?.map({ $0.arrayValue?.compactMap(\.stringValue) ?? [] }) else {
                throw ModelError(path, "groups: expected lists of tasks")
            }
            return groups
        }
        try self.init(json: fields.object(manifest, "recipe", in: "the manifest"), groups: groups, path: path)
    }
}

extension Recipe.Files {
    /// Reads the base of a recipe.
    init(base recipe: JSONObject, _ fields: RecipeFields) throws {
        try self.init(fields.object(recipe, "base", in: "recipe"), has: ["path", "sha256"], in: "base", fields)
    }

    fileprivate var json: JSONObject { ["path": .string(path), "sha256": .object(digestsByName)] }

    fileprivate var digestsByName: JSONObject {
        digests.reduce(into: JSONObject()) { $0[$1.name] = .string($1.sha256) }
    }

    fileprivate init(
        _ object: JSONObject, has keys: Set<String>, in section: String, _ fields: RecipeFields
    ) throws {
        try fields.check(object, has: keys, in: section)
        let digests = try fields.object(object, "sha256", in: section).members.map { name, value in
            guard let digest = value.stringValue else {
                throw ModelError(fields.path, "\(section): sha256: expected strings")
            }
            guard !name.isEmpty, !name.contains("/"), !name.contains("\0") else {
                throw ModelError(fields.path, "\(section): sha256: \"\(name)\" is not a file name")
            }
            return Recipe.Digest(name: name, sha256: digest)
        }
        guard !digests.isEmpty else { throw ModelError(fields.path, "\(section): sha256: no files") }
        self.init(path: try fields.text(object, "path", in: section), digests: digests)
    }
}

extension Recipe.AdapterEntry {
    private static let keys: Set<String> = ["name", "weight", "path", "labels", "activation", "head", "sha256"]

    /// An element of a recipe's list.
    var json: JSONObject {
        var object: JSONObject = ["name": .string(name), "weight": .double(weight), "path": .string(files.path)]
        object["labels"] = labels.map(JSON.string)
        object["activation"] = activation.map { .string($0.rawValue) }
        object["head"] = head.map { .object(["path": .string($0.path), "sha256": .string($0.sha256)]) }
        object["sha256"] = .object(files.digestsByName)
        return object
    }

    /// Reads an element of a recipe's list.
    init(_ object: JSONObject, _ fields: RecipeFields) throws {
        files = try Recipe.Files(object, has: Self.keys, in: "adapters", fields)
        name = try fields.text(object, "name", in: "adapters")
        weight = try fields.number(object, "weight", in: "adapters")
        labels = try object["labels"].map { _ in try fields.text(object, "labels", in: "adapters") }
        labelsName = labels.map(SmallFiles.name)
        activation = try object["activation"].map { value in
            guard let activation = value.stringValue.flatMap(HeadActivation.init(rawValue:)) else {
                throw ModelError(fields.path, "adapters: activation: expected one of \(HeadActivation.names)")
            }
            return activation
        }
        head = try object["head"].map { _ in
            let head = try fields.object(object, "head", in: "adapters")
            return Recipe.HeadFile(
                path: try fields.text(head, "path", in: "head"), sha256: try fields.text(head, "sha256", in: "head"))
        }
    }
}
