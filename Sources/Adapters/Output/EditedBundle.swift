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
        /// The backbone that is copied, or the merge that is written.
        let backbone: Backbone
        /// By task; nil where heads read the backbone's own tokens.
        var streams: [String: TaskStream]?
        /// The parameters of the base beside it.
        let baseParameters: [String]
        var tasks: [String]
        /// How well images fit its tasks, if that was measured.
        var fit: GroupFit?
    }

    private enum Backbone {
        case copied(Checkpoint)
        case written(MergedBackbone)
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
                backbone: .copied(group.backbone),
                streams: streams.map { Dictionary($0.streams.map { ($0.task, $0) }) { $1 } },
                baseParameters: streams?.ownBaseParameters.map(\.name) ?? [],
                tasks: group.tasks.map { tasks[$0] })
        }
        for (index, fit) in (bundle.fits?.groups ?? []).enumerated() { groups[index].fit = fit }
        for group in bundle.groups {
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

    /// Whether its tasks have streams, so that a new one gets one, too.
    package var hasStreams: Bool { groups.first?.streams != nil }

    /// How many backbones it has.
    package var backbones: Int { groups.count }

    /// The base that streams are computed by, which a bundle with streams has in it.
    ///
    /// - Throws: `ModelError` when the bundle has no streams, or several backbones.
    package func base() throws -> Checkpoint {
        guard hasStreams, bundle.groups.count == 1 else {
            throw ModelError(
                bundle.folder,
                hasStreams
                    ? "has \(groups.count) backbones, and it is not known which of them a new task is to read; merge "
                        + "all adapters again, in groups"
                    : "has no streams", remedy: hasStreams ? nil : AdapterRemedy.mergeWithStreams)
        }
        return try StreamFile.base(folder: bundle.folder, bundle.backbone, origin: origin)
    }

    /// The base that the bundle was merged over, for a backbone beside its own.
    ///
    /// - Parameter folder: where it is now; nil for where it was.
    /// - Throws: `ModelError` naming every file that is another than that of the merge; errors of `Checkpoint.init`.
    package func mergedBase(at folder: String?) throws -> Checkpoint {
        let folder = folder ?? origin.folder
        for (name, expected) in origin.digests {
            let path = "\(folder)/\(name)"
            guard let found = try? SHA256.text(ofFile: path) else {
                throw ModelError(
                    path, "cannot be read, and the bundle was merged over it", remedy: AdapterRemedy.giveMergedBase)
            }
            guard found == expected else {
                throw ModelError(
                    path, "not the file that the bundle was merged over: expected SHA-256 \(expected), found \(found)",
                    remedy: AdapterRemedy.giveMergedBase)
            }
        }
        // With the digests just compared, so that reading adapters does not compute them again.
        return try Checkpoint(
            Checkpoint(folder: folder), replacing: nil, origin: .init(folder: folder, digests: origin.digests))
    }

    /// How to merge an adapter together with those of the merge; nil when their files are not at their places any more,
    /// or are others.
    package func remedy(mergingAlso added: [Adapter]) throws -> AdapterRemedy? {
        guard let recipe = try? Recipe(contentsOf: "\(bundle.folder)/\(ModelBundle.manifestName)") else { return nil }
        do { try recipe.verify() } catch let error as CancellationRequested { throw error } catch { return nil }
        return recipe.remedy(mergingAlso: added.map { .init(name: $0.task, path: $0.path) })
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

    /// Adds tasks with streams behind those that there are.
    ///
    /// - Parameters:
    ///   - added: their adapters, heads and streams over the bundle's patch tokens.
    ///   - calibration: the use of calibration images, if any were used.
    ///   - fit: the fits of tasks that have one.
    /// - Throws: as `check(adding:)`; `FileError` when a file of an adapter cannot be read.
    package mutating func add(_ added: BundleGroup, calibration: CalibrationUse?, fit: GroupFit?) throws {
        try check(adding: added.heads.map(\.task))
        let settings = added.merged.plan.streams ?? StreamSettings()
        for (item, head) in zip(added.merged.adapters, added.heads) {
            try record(item.adapter, .stream(settings), head, calibration: calibration?.of(head.task))
            groups[0].tasks.append(head.task)
        }
        for stream in added.streams ?? [] { groups[0].streams?[stream.task] = stream }
        addFit(fit, to: 0)
    }

    /// What the fits of the first backbone's tasks are compared with; nil if none has a fit.
    package var background: SummaryDistribution? { groups[0].fit?.background }

    private mutating func addFit(_ fit: GroupFit?, to group: Int) {
        guard let fit else { return }
        groups[group].fit = groups[group].fit?.adding(fit) ?? fit
    }

    /// Adds a head that was trained over the bundle's first backbone.
    ///
    /// - Parameters:
    ///   - calibration: the use of images, if there are any.
    ///   - fit: the fit of the task, if it has one.
    /// - Throws: as `check(adding:)`; `ModelError` when the bundle's first backbone is not that of the merge any more;
    ///   `FileError` when a file cannot be read.
    package mutating func add(head adapter: Adapter, calibration: CalibrationUse?, fit: GroupFit?) throws {
        try check(adding: [adapter.task])
        guard !changes.isFirstGroupGone else {
            throw ModelError(
                bundle.folder,
                "has lost all tasks of the merge's first backbone, which alone heads can be added to; merge again")
        }
        try record(adapter, .merge, adapter.head, calibration: calibration)
        groups[0].tasks.append(adapter.task)
        addFit(fit, to: 0)
    }

    /// Adds an adapter with a backbone of its own.
    ///
    /// - Parameters:
    ///   - base: the base of the merge.
    ///   - calibration: the use of images, if there are any.
    ///   - fit: makes the fit of the task by its backbone, or gives nil.
    /// - Throws: as `check(adding:)`; `ModelError` when the adapter cannot be merged; `FileError`.
    package mutating func add(
        _ adapter: Adapter, over base: Checkpoint, calibration: CalibrationUse?,
        fit: (MergedBackbone) throws -> GroupFit?
    ) throws {
        try check(adding: [adapter.task])
        try record(adapter, .own, adapter.head, calibration: calibration)
        let backbone = try MergedBackbone(alone: adapter, over: base)
        groups.append(
            Group(
                backbone: .written(backbone), streams: nil, baseParameters: [], tasks: [adapter.task],
                fit: try fit(backbone)))
    }

    private mutating func record(
        _ adapter: Adapter, _ form: TaskChanges.Form, _ head: Head, calibration: CalibrationUse? = nil
    ) throws {
        changes.add(try .init(adapter, form, calibration: calibration), groups: groups.map(\.tasks))
        heads.append(head)
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
                groups[index].fit?.tasks[task] = nil
            }
        }
        groups.removeAll(where: \.tasks.isEmpty)
    }

    // MARK: Renaming

    /// Renames tasks, all at once.
    ///
    /// - Parameter names: the new names, by the old ones, which exist.
    /// - Throws: `ModelError` when a name cannot be a task's, or two tasks would have it.
    package mutating func rename(_ names: [String: String]) throws {
        func name(_ task: String) -> String { names[task] ?? task }
        for new in names.values { try ModelBundle.checkTaskName(new, path: bundle.folder) }
        var seen: Set<String> = []
        for task in tasks where !seen.insert(name(task)).inserted {
            throw ModelError(bundle.folder, "would have two tasks \"\(name(task))\"")
        }
        changes.rename(names, groups: groups.map(\.tasks))
        heads = heads.map { $0.named(name($0.task)) }
        for index in groups.indices {
            groups[index].tasks = groups[index].tasks.map(name)
            groups[index].streams = groups[index].streams.map { streams in
                Dictionary(streams.values.map { (name($0.task), $0.named(name($0.task))) }) { $1 }
            }
            groups[index].fit = groups[index].fit?.changed(renaming: names)
        }
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
            let fits = FitFile(groups: groups.map(\.fit))
            if !fits.isEmpty { try fits.write(to: target.path(FitFile.name), tasks: groups.map(\.tasks)) }
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

    /// Copies or writes a backbone, and writes its tasks' streams.
    private func write(_ group: Group, _ index: Int, to target: AtomicFolder) throws {
        let subfolder = ModelBundle.groupFolder(index)
        if let subfolder { try target.makeFolder(subfolder) }
        let prefix = subfolder.map { "\($0)/" } ?? ""
        switch group.backbone {
        case .copied(let backbone):
            let names = Self.backboneFiles(backbone)
            for (place, name) in names.enumerated() {
                try LongWork.report("copying files", place, of: names.count)
                try target.copy("\(backbone.folder)/\(name)", as: prefix + name)
            }
        case .written(let merged): try BundleWriter.writeBackbone(merged, hasStreams: false, prefix, to: target)
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
            Self.backboneFiles(bundle.backbone)
                + [ModelBundle.manifestName, ModelBundle.headsName, StreamFile.name, FitFile.name])
        for name in try SmallFiles.names(in: bundle.folder).sorted() where !others.contains(name) {
            guard !SmallFiles.isFolder("\(bundle.folder)/\(name)") else { continue }
            try target.copy("\(bundle.folder)/\(name)", as: name)
        }
    }
}
