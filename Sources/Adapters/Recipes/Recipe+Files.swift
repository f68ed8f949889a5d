import Files
import Glibc
import Tensors
package import VisionTransformers

extension Recipe {
    /// The recipe of a bundle's backbones, with the SHA-256 of every file that went into them.
    ///
    /// - Parameters:
    ///   - groups: the backbones, all over one base.
    ///   - order: the order of the tasks in the bundle.
    /// - Throws: `FileError` when a file cannot be read; `ModelError` when there is no backbone.
    package init(_ groups: [MergedBackbone], order: [String], calibration: CalibrationUse? = nil) throws {
        guard let base = groups.first?.base else { throw ModelError("recipe", "expected a backbone") }
        let adapters = groups.flatMap(\.adapters)
        let sorted = order.flatMap { name in adapters.filter { $0.adapter.task == name } }
        let others = adapters.filter { !order.contains($0.adapter.task) }
        self.init(
            base: Files(path: base.folder, digests: try Self.digests(Self.files(of: base))),
            entries: try (sorted + others).map(AdapterEntry.init),
            groups: groups.map { Group(tasks: $0.adapters.map(\.adapter.task), plan: $0.plan) },
            calibration: calibration)
    }

    /// The files of a base that a bundle is made of.
    package static func files(of base: Checkpoint) -> [String] {
        ["\(base.folder)/config.json"] + base.preprocessorPaths + base.files.map(\.path)
    }

    fileprivate static func digests(_ paths: [String]) throws -> [Digest] {
        try paths.map { Digest(name: SmallFiles.name(of: $0), sha256: try SHA256.text(ofFile: $0)) }
    }

    // MARK: Files that have moved

    /// Sets the folder that the base is in now.
    package mutating func move(base folder: String) { base.path = folder }

    /// Sets where an adapter, or the file of its class names or head, is now.
    ///
    /// - Throws: `RecipeError` when the recipe has no adapter of that name, or no such file for it.
    package mutating func move(
        adapter name: String, to path: String? = nil, labels: String? = nil, head: String? = nil
    ) throws {
        if let index = changes.additions.firstIndex(where: { $0.task == name }) {
            try changes.additions[index].entry.move(to: path, labels: labels, head: head)
        } else if let index = entries.firstIndex(where: { $0.name == name }) {
            try entries[index].move(to: path, labels: labels, head: head)
        } else {
            throw RecipeError.noAdapter(name: name, known: adapters)
        }
    }

    /// Sets the folders that the calibration images of a task are in now.
    ///
    /// - Throws: `RecipeError` when the recipe has no such images, or they are drawn.
    package mutating func move(calibration task: String, to folders: [String]) throws {
        func move(_ use: inout CalibrationUse?) throws -> Bool {
            guard let index = use?.images.firstIndex(where: { $0.task == task }) else { return false }
            if use?.images[index].areDrawn == true { throw RecipeError.drawnImages(of: task) }
            use?.images[index].source = .folders(folders)
            return true
        }
        for index in changes.additions.indices where try move(&changes.additions[index].calibration) { return }
        guard try move(&calibration) else { throw RecipeError.noImages(of: task) }
    }

    /// The calibration images of all tasks.
    package var images: [CalibrationUse.Images] {
        ([calibration] + changes.additions.map(\.calibration)).flatMap { $0?.images ?? [] }
    }

    // MARK: Opening

    /// Verifies the files and opens them.
    ///
    /// - Parameters:
    ///   - preprocessor: where the base's preprocessing settings come from.
    ///   - allowsOtherBase: whether adapters are read even if they were trained over another base.
    /// - Returns: the base, the adapters that are merged, and those of tasks that are added.
    /// - Throws: `RecipeError` naming every file that is missing or is another, or one that would be read now and did
    ///   not exist when the recipe was made; errors of `Checkpoint.init` and `Adapter.init`.
    package func open(
        preprocessor: PreprocessorChoice = PreprocessorChoice(), allowsOtherBase: Bool = false
    ) throws -> (base: Checkpoint, adapters: [WeightedAdapter], added: [Adapter]) {
        try verify()
        let base = try Checkpoint(folder: base.path, preprocessor: preprocessor)
        try Self.checkNothingNew(Self.files(of: base), among: self.base.digests.map(\.name))
        let all = entries + changes.additions.map(\.entry)
        // Heads that were trained over the merge, which has not been written yet.
        let headsOverMerge = Set(
            changes.additions.indices.filter { changes.additions[$0].form == .merge }.map { $0 + entries.count })
        let adapters = try all.enumerated().map { index, entry in
            try LongWork.report("reading adapters", index, of: all.count)
            let adapter = try Adapter(
                task: entry.name, path: entry.files.path, labels: entry.labels, headFile: entry.head?.path,
                activation: entry.activation, base: base,
                allowsOtherBase: allowsOtherBase || headsOverMerge.contains(index))
            let paths = entry.files.digests.map { entry.path(of: $0.name) }
            try Self.checkNothingNew(adapter.files, among: paths.map(SmallFiles.name))
            return WeightedAdapter(adapter, weight: entry.weight)
        }
        let (merged, added) = (adapters.prefix(entries.count), adapters.dropFirst(entries.count))
        return (base, Array(merged), added.map(\.adapter))
    }

    /// How to merge the adapters of the recipe together with others.
    func remedy(mergingAlso added: [AdapterRemedy.Source]) -> AdapterRemedy {
        let merged = entries.filter { !changes.removed.contains($0.name) }
            .map { AdapterRemedy.Source(name: changes.renamed[$0.name] ?? $0.name, path: $0.files.path) }
        let sources = merged + changes.additions.map { .init(name: $0.task, path: $0.entry.files.path) }
        let merge = groups[0].plan.merge
        return .mergeTogether(
            base: base.path, adapters: sources + added, method: merge.method.name, scale: merge.scale)
    }

    /// The adapters of some tasks, each to be used alone, and the folder of their base. Their files are verified.
    ///
    /// - Throws: `RecipeError` when the recipe has no adapter of a task, or naming every file that is missing or is
    ///   another.
    package func ownAdapters(of tasks: [String]) throws -> (base: String, adapters: [NamedAdapter]) {
        let merged = entries.filter { !changes.removed.contains($0.name) }
        let adapters = try tasks.map { task in
            guard
                let entry = changes.additions.first(where: { $0.task == task })?.entry
                    ?? merged.first(where: { (changes.renamed[$0.name] ?? $0.name) == task })
            else { throw RecipeError.noAdapter(name: task, known: self.adapters) }
            return entry
        }
        try verify(adapters)
        return (
            base.path,
            zip(tasks, adapters).map { task, entry in
                NamedAdapter(
                    task: task, path: entry.files.path, labels: entry.labels, headFile: entry.head?.path,
                    activation: entry.activation)
            }
        )
    }

    /// Checks that every file is the one that the recipe was made with.
    ///
    /// - Throws: `RecipeError.otherFiles` naming every file that is another, with the checksum that was expected and
    ///   that was found, and every file that is missing.
    package func verify() throws { try verify(entries + changes.additions.map(\.entry)) }

    private func verify(_ adapters: [AdapterEntry]) throws {
        var problems: [String] = []
        func check(_ path: String, _ expected: String) throws(CancellationRequested) {
            do {
                let found = try SHA256.text(ofFile: path)
                if found != expected {
                    problems.append(
                        "\(path): not the file that was merged: expected SHA-256 \(expected), found \(found)")
                }
            } catch let error as CancellationRequested {
                throw error
            } catch { problems.append("\(error)") }
        }
        for digest in base.digests { try check("\(base.path)/\(digest.name)", digest.sha256) }
        for entry in adapters {
            if let head = entry.head { try check(head.path, head.sha256) }
            for digest in entry.files.digests { try check(entry.path(of: digest.name), digest.sha256) }
        }
        guard problems.isEmpty else { throw RecipeError.otherFiles(problems) }
    }

    private static func checkNothingNew(_ files: [String], among names: [String]) throws {
        for file in files where !names.contains(SmallFiles.name(of: file)) { throw RecipeError.newFile(file) }
    }
}

extension Recipe.AdapterEntry {
    /// An adapter with the SHA-256 of its files.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    init(_ item: WeightedAdapter) throws {
        let adapter = item.adapter
        self.init(
            name: adapter.task, weight: item.weight,
            files: Recipe.Files(path: adapter.path, digests: try Recipe.digests(adapter.files)),
            labels: adapter.labels, labelsName: adapter.labels.map(SmallFiles.name),
            activation: adapter.givenActivation,
            head: try adapter.headFile.map { Recipe.HeadFile(path: $0, sha256: try SHA256.text(ofFile: $0)) })
    }

    /// Sets where the adapter, or the file of its class names or head, is now.
    fileprivate mutating func move(to path: String?, labels: String?, head: String?) throws {
        if let path { files.path = try AdapterSource.place(of: path) }
        if let head {
            guard self.head != nil else { throw RecipeError.noFile(of: name, kind: "a head") }
            self.head?.path = head
        }
        guard let labels else { return }
        guard self.labels != nil else { throw RecipeError.noFile(of: name, kind: "class names") }
        self.labels = labels
    }

    /// Where a file of the adapter is: in its folder, or beside it if the adapter is a file itself.
    fileprivate func path(of name: String) -> String {
        if let labels, name == labelsName { return labels }
        let adapter = files.path
        guard access(adapter, F_OK) == 0, !SmallFiles.isFolder(adapter, followsLinks: true) else {
            return "\(adapter)/\(name)"
        }
        if name == SmallFiles.name(of: adapter) || TensorFiles.hasEnding(name) { return adapter }
        return "\(SmallFiles.folder(of: adapter))/\(name)"
    }
}

/// Why a merge cannot be made again from a recipe.
package enum RecipeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The recipe has no adapter of this name.
    case noAdapter(name: String, known: [String])
    /// The recipe has no file of this kind for an adapter.
    case noFile(of: String, kind: String)
    /// The recipe has no calibration images of a task.
    case noImages(of: String)
    /// The recipe draws the calibration images of a task.
    case drawnImages(of: String)
    /// Files that are missing or are not those that were merged, a line for each.
    case otherFiles([String])
    /// A file that would be read now and did not exist when the recipe was made.
    case newFile(String)

    /// What is wrong.
    package var description: String {
        switch self {
        case .noAdapter(let name, let known):
            "the recipe has no adapter \"\(name)\"; it has \(known.joined(separator: ", "))"
        case .noFile(let name, let kind): "the recipe has no file of \(kind) for \"\(name)\""
        case .noImages(let task): "the recipe has no calibration images of \"\(task)\""
        case .drawnImages(let task): "the recipe draws the calibration images of \"\(task)\", which are in no folder"
        case .otherFiles(let lines): lines.joined(separator: "\n")
        case .newFile(let path): "\(path): did not exist when the recipe was made"
        }
    }
}
