package import VisionTransformers

/// A merged backbone with the heads that read it: one group of a bundle's tasks.
package struct BundleGroup: Sendable {
    /// The backbone.
    package let merged: MergedBackbone
    /// The heads, as they are to be written.
    package let heads: [Head]
    /// The streams that the heads read, in their order; nil where they read the backbone's own tokens.
    package let streams: [TaskStream]?

    /// A backbone with heads, which need not be those of its adapters.
    package init(_ merged: MergedBackbone, heads: [Head], streams: [TaskStream]? = nil) {
        self.merged = merged
        self.heads = heads
        self.streams = streams
    }

    /// A backbone with the heads of its adapters, in their order; without adapters with the base's own head, if it has
    /// one.
    ///
    /// - Throws: `ModelError` or `FileError` when the base's head does not fit it.
    package init(_ merged: MergedBackbone, streams: [TaskStream]? = nil) throws {
        let own = merged.adapters.isEmpty ? try merged.base.head(task: ModelBundle.plainTask) : nil
        self.init(merged, heads: own.map { [$0] } ?? merged.adapters.map(\.adapter.head), streams: streams)
    }

    /// The group without some of its tasks, which the backbone was made of nevertheless.
    package func removing(_ tasks: [String]) -> BundleGroup {
        let left = heads.indices.filter { !tasks.contains(heads[$0].task) }
        return BundleGroup(merged, heads: left.map { heads[$0] }, streams: streams.map { all in left.map { all[$0] } })
    }

    /// The group with other names of some of its tasks.
    ///
    /// - Parameter names: the new names, by the old ones.
    package func renaming(_ names: [String: String]) -> BundleGroup {
        BundleGroup(
            merged, heads: heads.map { $0.named(names[$0.task] ?? $0.task) },
            streams: streams?.map { $0.named(names[$0.task] ?? $0.task) })
    }

    /// The group with the tasks of another behind its own; their streams read this backbone's patch tokens.
    package func adding(_ other: BundleGroup) -> BundleGroup {
        BundleGroup(merged, heads: heads + other.heads, streams: streams.map { $0 + (other.streams ?? []) })
    }

    /// Splits adapters into groups by their tasks' names.
    ///
    /// - Parameters:
    ///   - adapters: all adapters; in a group they keep their order.
    ///   - groups: the names; every adapter is in exactly one group.
    /// - Throws: `ModelError` naming the task that is unknown, appears twice or is missing, or when a group is empty.
    package static func split(_ adapters: [WeightedAdapter], into groups: [[String]]) throws -> [[WeightedAdapter]] {
        try checkGroups(groups, of: adapters.map(\.adapter.task))
        return groups.map { names in adapters.filter { names.contains($0.adapter.task) } }
    }

    /// Checks that every task is in exactly one group.
    ///
    /// One group may be empty when it is the only one and there are no tasks.
    ///
    /// - Throws: `ModelError` about `groups`, as `split(_:into:)`.
    package static func checkGroups(_ groups: [[String]], of tasks: [String]) throws {
        var seen: Set<String> = []
        for group in groups {
            guard !group.isEmpty || groups.count == 1 else { throw ModelError("groups", "a group without tasks") }
            for name in group {
                guard tasks.contains(name) else { throw ModelError("groups", "there is no task \"\(name)\"") }
                guard seen.insert(name).inserted else { throw ModelError("groups", "\"\(name)\" appears twice") }
            }
        }
        if let missing = tasks.first(where: { !seen.contains($0) }) {
            throw ModelError("groups", "the task \"\(missing)\" is in none")
        }
    }

    /// The heads of all groups in the order of the bundle.
    ///
    /// - Throws: `ModelError` when a name cannot be a task's, the groups do not hold exactly the tasks of `order`, or
    ///   one of several is empty or over another base.
    static func heads(of groups: [BundleGroup], order: [String]?) throws -> [Head] {
        let heads = groups.flatMap(\.heads)
        for head in heads { try ModelBundle.checkTaskName(head.task, path: "tasks") }
        let names = order ?? heads.map(\.task)
        try checkGroups(groups.map { $0.heads.map(\.task) }, of: names)
        guard names.count == heads.count else { throw ModelError("tasks", "\(names) holds a name twice") }
        for group in groups where group.merged.base.folder != groups[0].merged.base.folder {
            throw ModelError(group.merged.base.folder, "a group over another base than the first")
        }
        return names.compactMap { name in heads.first { $0.task == name } }
    }
}
