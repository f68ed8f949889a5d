import Files
import Glibc
import Tensors
package import VisionTransformers

/// A bundle whose tasks are changed after its merge.
///
/// Its backbones are copied byte for byte, and the heads and streams of tasks that stay keep their numbers, so their
/// rows keep every bit.
package struct EditedBundle {
    /// A backbone of the bundle with its tasks.
    private struct Group {
        let backbone: Checkpoint
        /// By task; nil where heads read the backbone's own tokens.
        var streams: [String: TaskStream]?
        /// The parameters of the base beside it.
        let baseParameters: [String]
        var tasks: [String]
    }

    private let bundle: ModelBundle
    private let recipe: JSONObject
    private let origin: Checkpoint.Origin
    private var changes: TaskChanges
    private var groups: [Group]
    private var heads: [Head]

    /// Opens a bundle.
    ///
    /// - Throws: `ModelError` when it is no bundle, has no recipe, or was quantized; errors of `ModelBundle.init`.
    package init(_ folder: String) throws {
        bundle = try ModelBundle(folder: folder)
        let path = "\(folder)/\(ModelBundle.manifestName)"
        guard let manifest = bundle.manifest?.objectValue else {
            throw ModelError(folder, "a checkpoint, not a bundle: its only task is its own head")
        }
        let fields = RecipeFields(path: path)
        recipe = try fields.object(manifest, "recipe", in: "the manifest")
        let base = try Recipe.Files(base: recipe, fields)
        origin = Checkpoint.Origin(folder: base.path, digests: base.digests.map { ($0.name, $0.sha256) })
        changes = try TaskChanges(recipe, fields)
        heads = bundle.heads
        let tasks = heads.map(\.task)
        groups = zip(bundle.groups, bundle.streams).map { group, streams in
            Group(
                backbone: group.backbone,
                streams: streams.map { Dictionary($0.streams.map { ($0.task, $0) }) { $1 } },
                baseParameters: streams?.ownBaseParameters.map(\.name) ?? [],
                tasks: group.tasks.map { tasks[$0] })
        }
        for group in groups {
            let path = "\(group.backbone.folder)/\(QuantizedWeights.fileName)"
            guard access(path, F_OK) != 0 else {
                throw ModelError(
                    path,
                    "records how many labels the bundle's tasks keep in int8, which holds for these tasks alone; "
                        + "change the tasks of the bundle that was quantized", remedy: AdapterRemedy.quantizeChanged)
            }
        }
    }

    /// The names of its tasks, in order.
    package var tasks: [String] { heads.map(\.task) }

    // MARK: Adding

    /// The base that streams are computed by.
    ///
    /// - Throws: `ModelError` when the bundle has no streams, or several backbones.
    package func base() throws -> Checkpoint {
        guard let group = groups.first, group.streams != nil else {
            throw ModelError(
                bundle.folder,
                "has no streams: its tasks share the tokens of one merge, so that a new task would change all of them",
                remedy: AdapterRemedy.mergeWithStreams)
        }
        guard groups.count == 1 else {
            throw ModelError(
                bundle.folder,
                "has \(groups.count) backbones, and it is not known which of them a new task is to read; merge all "
                    + "adapters again, in groups")
        }
        return try StreamFile.base(folder: bundle.folder, group.backbone, origin: origin)
    }

    /// The backbone that computes the patch tokens of new tasks.
    package var patches: Checkpoint { bundle.backbone }

    /// How the streams of the merge were made; nil if the recipe does not say.
    package var streamSettings: StreamSettings? {
        recipe["streams"]?.objectValue?["rank"]?.intValue.map { StreamSettings(rank: $0) }
    }

    /// Checks that tasks can be added.
    ///
    /// - Throws: `ModelError` naming a task that there is already.
    package func check(adding tasks: [String]) throws {
        if let task = tasks.first(where: { self.tasks.contains($0) }) {
            throw ModelError(
                bundle.folder, "has a task \"\(task)\" already",
                remedy: AdapterRemedy.removeTask(task, bundle: bundle.folder))
        }
    }

    /// Adds tasks behind those that there are.
    ///
    /// - Parameters:
    ///   - added: their adapters, heads and streams over the bundle's patch tokens.
    ///   - calibration: the use of calibration images, if any were used.
    /// - Throws: as `check(adding:)`; `FileError` when a file of an adapter cannot be read.
    package mutating func add(_ added: BundleGroup, calibration: CalibrationUse?) throws {
        try check(adding: added.heads.map(\.task))
        for (item, head) in zip(added.merged.adapters, added.heads) {
            let settings = added.merged.plan.streams ?? StreamSettings()
            changes.additions.append(
                try .init(item.adapter, settings, calibration: calibration?.of(head.task)))
            heads.append(head)
            groups[0].tasks.append(head.task)
        }
        for stream in added.streams ?? [] { groups[0].streams?[stream.task] = stream }
    }

    // MARK: Removing

    /// Removes tasks. A backbone that no task reads any more goes with them.
    ///
    /// - Throws: `ModelError` when none would be left.
    package mutating func remove(_ removed: [String]) throws {
        guard !Set(tasks).subtracting(removed).isEmpty else {
            let names = removed.joined(separator: ", ")
            throw ModelError(bundle.folder, "would have no task left without \(names); delete the folder instead")
        }
        for task in removed {
            changes.remove(task, groups: groups.map(\.tasks))
            heads.removeAll { $0.task == task }
            for index in groups.indices {
                groups[index].tasks.removeAll { $0 == task }
                groups[index].streams?[task] = nil
            }
        }
        groups.removeAll(where: \.tasks.isEmpty)
    }

    // MARK: Writing

    /// Writes the bundle.
    ///
    /// - Parameters:
    ///   - folder: where; its parent must exist. It may be the bundle's own.
    ///   - replaces: whether a bundle that is there already may be replaced.
    ///   - started: is given what removes the unfinished folder, as in `BundleWriter.write`.
    /// - Returns: the heads that were written.
    /// - Throws: `FileError` or `ModelError` when something is there already, or the disk refuses; nothing is left
    ///   behind then.
    @discardableResult
    package func write(
        to folder: String, replaces: Bool, started: (@escaping @Sendable () -> Bool) -> Void = { _ in }
    ) throws -> [Head] {
        let target = try AtomicFolder(folder, BundleWriter.kind, replaces: replaces)
        started { target.discard() }
        do {
            for (index, group) in groups.enumerated() { try write(group, index, to: target) }
            try copySharedFiles(to: target)
            try BundleWriter.writeHeads(heads, to: target.path(ModelBundle.headsName))
            var recipe = recipe
            changes.write(into: &recipe)
            let manifest = BundleWriter.manifest(
                heads, groups: groups.map(\.tasks), resize: try bundle.backbone.recordedResize(),
                hasStreams: groups.contains { $0.streams != nil }, recipe: recipe)
            try target.write(ModelBundle.manifestName, manifest.serialized())
            try target.commit()
            return heads
        } catch {
            target.discard()
            throw error
        }
    }

    /// Copies a backbone, and writes its tasks' streams.
    private func write(_ group: Group, _ index: Int, to target: AtomicFolder) throws {
        let subfolder = ModelBundle.groupFolder(index)
        if let subfolder { try target.makeFolder(subfolder) }
        let prefix = subfolder.map { "\($0)/" } ?? ""
        let names = Self.backboneFiles(group.backbone)
        for (place, name) in names.enumerated() {
            try LongWork.report("copying files", place, of: names.count)
            try target.copy("\(group.backbone.folder)/\(name)", as: prefix + name)
        }
        guard let streams = group.streams else { return }
        try StreamFile.write(
            group.tasks.compactMap { streams[$0] }, baseParameters: group.baseParameters,
            to: target.path(prefix + StreamFile.name))
    }

    /// The files of a backbone in its folder, with those of the base's parameters beside it.
    private static func backboneFiles(_ backbone: Checkpoint) -> [String] {
        let names = ["config.json", StreamFile.baseName] + backbone.files.map { SmallFiles.name(of: $0.path) }
        return names.filter { access("\(backbone.folder)/\($0)", F_OK) == 0 }
    }

    /// Copies the files at the bundle's top that are no backbone's and are not written anew.
    private func copySharedFiles(to target: AtomicFolder) throws {
        let others = Set(
            Self.backboneFiles(bundle.backbone) + [ModelBundle.manifestName, ModelBundle.headsName, StreamFile.name])
        for name in try SmallFiles.names(in: bundle.folder).sorted() where !others.contains(name) {
            guard !SmallFiles.isFolder("\(bundle.folder)/\(name)") else { continue }
            try target.copy("\(bundle.folder)/\(name)", as: name)
        }
    }
}
