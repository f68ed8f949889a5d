import Files
import Glibc
import Tensors

extension ModelBundle {
    /// Tasks that share a backbone.
    package struct Group: Sendable {
        /// The backbone.
        package let backbone: Checkpoint
        /// The places of its tasks among the bundle's heads.
        package let tasks: [Int]

        /// The backbone's blocks in eight bits, if `quantize` has rounded them.
        var rounded: RoundedWeights? {
            get throws { try RoundedWeights(folder: backbone.folder, backbone.configuration) }
        }
    }

    /// Whether `quantize` has rounded every backbone, and found that it keeps its labels.
    ///
    /// - Throws: `FileError` when what it left is damaged.
    package var keepsLabelsInInt8: Bool {
        get throws { try groups.allSatisfy { try $0.rounded?.agreement?.isEnough ?? false } }
    }

    /// The version of the format that a bundle of several backbones has.
    package static let groupedFormatVersion = 2

    /// The folder of a group's backbone: nil for the first, whose backbone is at the bundle's top, then `group2`, `group3` ...
    package static func groupFolder(_ index: Int) -> String? { index == 0 ? nil : "group\(index + 1)" }

    /// Whether a name is one that `groupFolder(_:)` gives.
    package static func isGroupFolder(_ name: String) -> Bool {
        guard name.hasPrefix("group"), let number = Int(name.dropFirst("group".count)), number > 1 else { return false }
        return groupFolder(number - 1) == name
    }

    /// The groups that answer for the wanted tasks, with all their heads in the bundle's order.
    func groups(for wanted: [String]?) -> (groups: [Group], heads: [Head]) {
        guard let wanted, !wanted.isEmpty, wanted.allSatisfy({ name in heads.contains { $0.task == name } }) else {
            return (groups, heads)
        }
        let kept = groups.filter { $0.tasks.contains { wanted.contains(heads[$0].task) } }
        let places = kept.flatMap(\.tasks).sorted()
        let moved = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1, $0) })
        return (
            kept.map { Group(backbone: $0.backbone, tasks: $0.tasks.compactMap { moved[$0] }) },
            places.map { heads[$0] }
        )
    }

    /// Opens the backbones of all groups that the manifest at `path` names; the first is open already.
    static func groups(_ manifest: JSON, _ path: String, folder: String, first: Checkpoint, heads: [Head]) throws
        -> [Group]
    {
        let object = manifest.objectValue
        let version = object?["format_version"]?.intValue
        guard version == groupedFormatVersion || object?["groups"] != nil else {
            return [Group(backbone: first, tasks: Array(heads.indices))]
        }
        guard version != formatVersion else {
            throw ModelError(path, "groups: expected only with format_version \(groupedFormatVersion) and later")
        }
        return try places(object?["groups"], path, tasks: heads.map(\.task)).enumerated().map { index, tasks in
            guard let name = groupFolder(index) else { return Group(backbone: first, tasks: tasks) }
            let backbone = try Checkpoint(folder: "\(folder)/\(name)", wanted: nil)
            try checkShape(backbone, is: first)
            return Group(backbone: backbone, tasks: tasks)
        }
    }

    /// The places of each group's tasks, every task in exactly one group.
    private static func places(_ value: JSON?, _ path: String, tasks: [String]) throws -> [[Int]] {
        guard let groups = value?.arrayValue, !groups.isEmpty else {
            throw ModelError(path, "groups: expected an array of arrays of task names")
        }
        guard groups.count <= tasks.count else {
            throw ModelError(path, "groups: \(groups.count) groups for \(tasks.count) tasks")
        }
        var left = Dictionary(uniqueKeysWithValues: tasks.enumerated().map { ($1, $0) })
        let places = try groups.map { group in
            guard let names = group.arrayValue else {
                throw ModelError(path, "groups: expected an array of task names, found \(group.shown)")
            }
            guard !names.isEmpty else { throw ModelError(path, "groups: a group without tasks") }
            return try names.map { value in
                guard let name = value.stringValue else {
                    throw ModelError(path, "groups: expected a task name, found \(value.shown)")
                }
                guard let place = left.removeValue(forKey: name) else {
                    let reason = tasks.contains(name) ? "stands twice" : "is not a task"
                    throw ModelError(path, "groups: \"\(name)\" \(reason)")
                }
                return place
            }
        }
        if let missing = tasks.first(where: { left[$0] != nil }) {
            throw ModelError(path, "groups: the task \"\(missing)\" is in none")
        }
        return places
    }

    /// All groups see the same input and give the same features.
    private static func checkShape(_ backbone: Checkpoint, is first: Checkpoint) throws {
        let (found, expected) = (backbone.configuration, first.configuration)
        guard found != expected else { return }
        let facts: [(String, (BackboneConfiguration) -> String)] = [
            ("family", \.family.rawValue), ("hidden_size", { "\($0.hiddenSize)" }), ("layers", { "\($0.layers)" }),
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
