import Files
import Glibc
import Tensors

extension ModelBundle {
    /// The format version of a bundle of several backbones.
    package static let groupedFormatVersion = 2

    /// The folder of a group's backbone: nil for the first, whose backbone is at the bundle's top, then `group2`,
    /// `group3` ...
    package static func groupFolder(_ index: Int) -> String? { index == 0 ? nil : "group\(index + 1)" }

    /// Whether a name is one that `groupFolder(_:)` gives.
    package static func isGroupFolder(_ name: String) -> Bool {
        guard name.hasPrefix("group"), let number = Int(name.dropFirst("group".count)), number > 1 else { return false }
        return groupFolder(number - 1) == name
    }

    /// The heads of a model for the named tasks, in the order of its logits: those of all tasks of every group that has
    /// one of them, of a group with task streams of the named ones alone.
    package func heads(for names: [String]?) -> [Head] { groups(for: names).heads }

    /// The groups of the named tasks, with their heads in the bundle's order: of a group with task streams those of
    /// the named tasks, of another all, as they read the same features.
    func groups(
        for names: [String]?
    ) -> (groups: [TaskGroup<(checkpoint: Checkpoint, streams: TaskStreams?)>], heads: [Head]) {
        let all = zip(groups, streams).map {
            TaskGroup(backbone: (checkpoint: $0.backbone, streams: $1), tasks: $0.tasks)
        }
        let tasks = Head.tasks(names, of: heads)
        let needed = all.compactMap { group -> TaskGroup<(checkpoint: Checkpoint, streams: TaskStreams?)>? in
            let members = group.tasks.filter { tasks.contains(heads[$0].task) }
            guard !members.isEmpty else { return nil }
            guard let streams = group.backbone.streams else { return group }
            return TaskGroup(
                backbone: (group.backbone.checkpoint, streams.selecting(tasks.contains)), tasks: members)
        }
        let indices = needed.flatMap(\.tasks).sorted()
        let newIndices = Dictionary(uniqueKeysWithValues: indices.enumerated().map { ($1, $0) })
        return (
            needed.map { TaskGroup(backbone: $0.backbone, tasks: $0.tasks.compactMap { newIndices[$0] }) },
            indices.map { heads[$0] }
        )
    }

    /// The named tasks that have a fit.
    package func fittedTasks(for names: [String]?) -> Set<String> {
        Set(Head.tasks(names, of: heads).filter { fits?.fit($0) != nil })
    }

    /// The fits of the named tasks, for groups with some tasks each.
    func fits(of groups: [[String]], for names: [String]?) -> [GroupFit?] {
        guard let fits else { return [] }
        let wanted = Head.tasks(names, of: heads)
        return groups.map { tasks in
            let group = fits.groups.lazy.compactMap(\.self).first { group in
                tasks.contains { group.tasks[$0] != nil }
            }
            return group.map { group in
                GroupFit(background: group.background, tasks: group.tasks.filter { wanted.contains($0.key) })
            }
        }
    }

    /// Opens the backbones of all groups in the manifest at `path`; the first is open already.
    static func groups(_ manifest: JSON, _ path: String, folder: String, first: Checkpoint, heads: [Head]) throws
        -> [TaskGroup<Checkpoint>]
    {
        let object = manifest.objectValue
        let version = object?["format_version"]?.intValue
        guard version == groupedFormatVersion || object?["groups"] != nil else {
            return [TaskGroup(backbone: first, tasks: Array(heads.indices))]
        }
        guard version != formatVersion else {
            throw ModelError(path, "groups: expected only with format_version \(groupedFormatVersion) and later")
        }
        return try indices(object?["groups"], path, tasks: heads.map(\.task)).enumerated().map { index, tasks in
            guard let name = groupFolder(index) else { return TaskGroup(backbone: first, tasks: tasks) }
            let backbone = try Checkpoint(folder: "\(folder)/\(name)", expected: nil)
            try checkShape(backbone, is: first)
            return TaskGroup(backbone: backbone, tasks: tasks)
        }
    }

    /// The indices of each group's tasks, every task in exactly one group.
    private static func indices(_ value: JSON?, _ path: String, tasks: [String]) throws -> [[Int]] {
        guard let groups = value?.arrayValue, !groups.isEmpty else {
            throw ModelError(path, "groups: expected an array of arrays of task names")
        }
        guard groups.count <= tasks.count else {
            throw ModelError(path, "groups: \(groups.count) groups for \(tasks.count) tasks")
        }
        var left = Dictionary(uniqueKeysWithValues: tasks.enumerated().map { ($1, $0) })
        let indices = try groups.map { group in
            guard let names = group.arrayValue else {
                throw ModelError(path, "groups: expected an array of task names, found \(group.shown)")
            }
            guard !names.isEmpty else { throw ModelError(path, "groups: a group without tasks") }
            return try names.map { value in
                guard let name = value.stringValue else {
                    throw ModelError(path, "groups: expected a task name, found \(value.shown)")
                }
                guard let index = left.removeValue(forKey: name) else {
                    let reason = tasks.contains(name) ? "appears twice" : "is not a task"
                    throw ModelError(path, "groups: \"\(name)\" \(reason)")
                }
                return index
            }
        }
        if let missing = tasks.first(where: { left[$0] != nil }) {
            throw ModelError(path, "groups: the task \"\(missing)\" is in none")
        }
        return indices
    }

    /// Checks that two backbones have the same shape, as all groups have.
    private static func checkShape(_ backbone: Checkpoint, is first: Checkpoint) throws {
        let (found, expected) = (backbone.configuration, first.configuration)
        guard found != expected else { return }
        let facts: [(String, (BackboneConfiguration) -> String)] = [
            ("family", \.family.name), ("hidden_size", { "\($0.hiddenSize)" }), ("layers", { "\($0.layers)" }),
            ("attention heads", { "\($0.heads)" }), ("intermediate_size", { "\($0.intermediateSize)" }),
            ("image_size", { "\($0.imageSize)" }), ("patch_size", { "\($0.patchSize)" }),
            ("activation", { "\($0.activation)" }), ("layer_norm_eps", { "\($0.layerNormEpsilon)" }),
        ]
        let differing = facts.first { $0.1(found) != $0.1(expected) }
        let reason = differing.map { "\($0.0) is \($0.1(found)), that of the first group is \($0.1(expected))" }
        throw ModelError(
            "\(backbone.folder)/config.json", reason ?? "describes another architecture than the first group's")
    }
}

extension Head {
    /// The tasks of some heads that are asked for; all of them for nil, or a name that is not a task's.
    static func tasks(_ names: [String]?, of heads: [Head]) -> Set<String> {
        let all = Set(heads.map(\.task))
        guard let names, !names.isEmpty, all.isSuperset(of: names) else { return all }
        return Set(names)
    }
}
