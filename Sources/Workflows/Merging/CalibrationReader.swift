import Adapters
import Compute
import Datasets
import Files
import Images
import Training
import VisionTransformers

/// Reads calibration images as the base's preprocessing makes them.
package struct CalibrationReader {
    typealias TaskImages = (images: CalibrationImages, record: CalibrationUse.Images)
    /// Images that were read, the path of each below its folder, and where they are from.
    private struct Reading {
        var images: CalibrationImages
        var names: [String]
        var source: CalibrationUse.Source
        var sha256: String
    }

    private let base: Checkpoint
    let warn: (Warning) -> Void
    private let preprocessing: Preprocessing
    private let preparer: PatchPreparer
    private let passes: PassSettings
    private let cache: FeatureCache?
    private let similar: SimilarImages
    /// How images change from pass to pass over them, if they do, and what that is drawn from.
    private let views: (augmentation: Augmentation, seed: UInt64)?

    /// What the base made of the images of each task whose near-duplicates were looked for, if that is kept.
    var summaries: [String: FeatureTable] { similar.summaries }

    /// A reader of images for a base.
    ///
    /// - Parameters:
    ///   - passes: how images are computed.
    ///   - settings: how images change from pass to pass over them; nil if they do not.
    ///   - summarizes: whether summaries are kept, for fits.
    ///   - cache: where the features of the base and of single adapters are kept; nil for nowhere.
    init(
        _ base: Checkpoint, passes: PassSettings, views settings: DistillationSettings?, summarizes: Bool = false,
        cache: FeatureCache? = nil, _ warn: @escaping (Warning) -> Void
    ) throws {
        (self.base, self.passes, self.cache, self.warn) = (base, passes, cache, warn)
        views = settings.map { (Augmentation($0), $0.seed) }
        preprocessing = try base.preprocessing()
        preparer = PatchPreparer(preprocessing, configuration: base.configuration, decoding: DecodingOptions())
        similar = SimilarImages(
            by: base, configuration: base.configuration, imageSize: preparer.imageSize, passes: passes,
            summarizes: summarizes,
            cached: try cache.map { [preparer] in
                ($0, try FeatureCache.Source(base, nil, imageSize: preparer.imageSize, passes: passes))
            }, warn)
    }

    /// The images of the adapters' tasks, with their records for the recipe.
    private func images(of adapters: [WeightedAdapter], _ settings: CalibrationSettings) throws -> [TaskImages] {
        let tasks = adapters.map(\.adapter.task)
        let sources = tasks.map { settings.labelled[$0].map { .folders([$0]) } ?? settings.sources[$0] ?? .folders([]) }
        let drawn = try pictures(drawnFor: sources)
        warnOfDrawing(zip(tasks, sources).filter { drawn[$0.1] != nil }.map(\.0), from: drawn.keys.first)
        return try adapters.enumerated().map { index, item in
            let task = item.adapter.task
            return try LongWork.part("reading tasks", index, of: adapters.count) {
                var reading: Reading
                if let folder = settings.labelled[task] {
                    try item.adapter.head.activation.requireSoftmax(task: task, for: "choosing a scale by labels")
                    reading = try images(task, folders: [folder], classes: item.adapter.head.classes)
                } else {
                    reading = try images(task, from: sources[index], drawn)
                }
                reading.images = reading.images.grouped(as: try groups(reading, settings.pattern))
                let record = CalibrationUse.Images(
                    task: task, source: reading.source, count: reading.images.count, sha256: reading.sha256,
                    groups: reading.images.groups)
                return (reading.images, record)
            }
        }
    }

    /// Images that are only looked at to report agreement, of the tasks that have some. Of a folder that is divided
    /// into splits they are the test images.
    ///
    /// - Throws: `ModelError` for a task whose folders have no images.
    func images(_ settings: HoldoutSettings, tasks: [String]) throws -> [CalibrationImages] {
        let tasks = tasks.filter { settings.folders[$0]?.isEmpty == false }
        return try tasks.enumerated().map { index, task in
            try LongWork.part("reading hold-out images", index, of: tasks.count) {
                let folders = settings.folders[task] ?? []
                let reading = try images(task, folders: folders, split: .test)
                guard reading.images.count > 0 else {
                    throw ModelError(folders.joined(separator: ", "), "no images to report the agreement of \(task) on")
                }
                return reading.images.grouped(as: try groups(reading, settings.pattern, choosing: false))
            }
        }
    }

    /// The unlabelled images of some tasks: of a folder that is divided into splits the training images.
    ///
    /// - Throws: `ModelError` for a task whose folders have no images.
    func images(_ tasks: [(name: String, folders: [String])], _ pattern: NamePattern?) throws -> [CalibrationImages] {
        try tasks.enumerated().map { index, task in
            try LongWork.part("reading tasks", index, of: tasks.count) {
                let reading = try images(task.name, folders: task.folders)
                guard reading.images.count > 0 else {
                    throw ModelError(task.folders.joined(separator: ", "), "no images of \(task.name)")
                }
                return reading.images.grouped(as: try groups(reading, pattern))
            }
        }
    }

    /// Which images of a task are alike.
    ///
    /// - Parameter choosing: whether some of the images are to be held out, which takes several groups.
    /// - Throws: `ModelError` when a pattern does not match a name, or there are too few groups to hold any out.
    private func groups(_ reading: Reading, _ pattern: NamePattern?, choosing: Bool = true) throws -> ImageGroups {
        let images = reading.images
        if case .drawn = reading.source { return images.groups }
        if let pattern {
            let groups = ImageGroups(.name(pattern: pattern.text), labels: try pattern.groups(of: reading.names))
            guard !choosing || groups.count >= ImageGroups.holdOutEvery else {
                throw ModelError(
                    images.task,
                    "\(groups.count) groups of images by their names; at least \(ImageGroups.holdOutEvery) "
                        + "are needed to hold one out")
            }
            return groups
        }
        return try similar.groups(of: images, choosing: choosing)
    }

    /// The images that a recipe tells of, from where they are now.
    ///
    /// - Throws: `ModelError` naming images that are not those that were used.
    func images(again use: CalibrationUse) throws -> [CalibrationImages] {
        let drawn = try pictures(drawnFor: use.images.map(\.source))
        return try use.images.enumerated().map { index, item in
            let found = try LongWork.part("reading tasks", index, of: use.images.count) {
                try images(item.task, from: item.source, drawn, isRecorded: true)
            }
            guard found.sha256 == item.sha256 else {
                throw ModelError(
                    Self.place(of: item.source),
                    "not the calibration images of \"\(item.task)\" that were used: expected \(item.count) with "
                        + "SHA-256 "
                        + "\(item.sha256), found \(found.images.count) with \(found.sha256)")
            }
            return found.images.grouped(as: item.groups)
        }
    }

    /// Warns of tasks with so few held-out images that they hardly tell whether alignment helps.
    private func warnOfFewImages(_ images: [CalibrationImages]) {
        let few = images.map { (task: $0.task, count: $0.indices(heldOut: true).count) }
            .filter { $0.count < Self.fewImages }
        guard !few.isEmpty else { return }
        let counts = few.map { "\($0.task) \($0.count)" }.joined(separator: ", ")
        warn(
            """
            fewer than \(Self.fewImages) held-out images, one in \(ImageGroups.holdOutEvery) of a task's, tell \
            little about whether its aligned head is better: \(counts)
            """)
    }

    /// Fewer held-out images of a task than these tell little of whether alignment helps.
    private static let fewImages = 50

    /// The pictures of each source that draws some, at the size of the base's input. Tasks share them.
    ///
    /// - Throws: `ModelError` for a generator that is not this version's.
    private func pictures(
        drawnFor sources: [CalibrationUse.Source]
    ) throws -> [CalibrationUse.Source: [RGBImage]] {
        try Set(sources).reduce(into: [:]) { result, source in
            guard case .drawn(let kind, let count, let seed) = source else { return }
            guard kind == DrawnPictures.kind else {
                throw ModelError(
                    "calibration", "pictures drawn by \"\(kind)\"; this version draws \"\(DrawnPictures.kind)\" alone")
            }
            let pictures = DrawnPictures(count: count, seed: seed)
            result[source] = try (0..<count).map { index in
                try LongWork.report("drawing pictures", index, of: count)
                return pictures.picture(index, size: preparer.imageSize)
            }
        }
    }

    /// Says which tasks have no images but drawn ones.
    private func warnOfDrawing(_ tasks: [String], from source: CalibrationUse.Source?) {
        guard case .drawn(_, let count, let seed) = source, !tasks.isEmpty else { return }
        warn(
            """
            \(tasks.joined(separator: ", ")): \(count) pictures drawn from seed \(seed) take the place of images; \
            agreement on drawn pictures says little about agreement on images of the task
            """)
    }

    /// A source in messages.
    private static func place(of source: CalibrationUse.Source) -> String {
        switch source {
        case .folders(let folders): folders.joined(separator: ", ")
        case .drawn(_, let count, let seed): "\(count) pictures drawn from seed \(seed)"
        }
    }

    /// A task's images from folders, or those that were drawn, with their record for the recipe.
    private func images(
        _ task: String, from source: CalibrationUse.Source, _ drawn: [CalibrationUse.Source: [RGBImage]],
        isRecorded: Bool = false
    ) throws -> Reading {
        if case .folders(let folders) = source { return try images(task, folders: folders, isRecorded: isRecorded) }
        let pictures = drawn[source] ?? []
        return images(task, pictures, large: pictures.compactMap(sizedForCrops), names: [], classes: nil, source)
    }

    /// A decoded picture as views crop it; nil if they do not crop.
    private func sizedForCrops(_ picture: RGBImage) -> RGBImage? {
        guard let augmentation = views?.augmentation, augmentation.crops else { return nil }
        return AugmentedPictures.sizedForCrops(picture, preparer: preparer, augmentation: augmentation)
    }

    /// Pictures as a task's images, with their record for the recipe.
    ///
    /// - Parameter large: the pictures as views crop them; empty if they do not crop.
    private func images(
        _ task: String, _ pictures: [RGBImage], large: [RGBImage], names: [String], classes: [Int]?,
        _ source: CalibrationUse.Source
    ) -> Reading {
        let images = CalibrationImages(
            task: task, count: pictures.count, classes: classes, view: view(of: large.isEmpty ? pictures : large, task)
        ) { [preparer] index, patches in
            preparer.writePatches(of: pictures[index], into: patches)
        }
        let digest = SHA256.text(of: (pictures + large).lazy.map(\.pixels))
        return Reading(images: images, names: names, source: source, sha256: digest)
    }

    /// A task's images, with their record for the recipe.
    ///
    /// - Parameters:
    ///   - folders: the images' folders, or tables that name them; of a folder that is divided into splits the training
    ///     images are taken.
    ///   - classes: the task's classes, if the images are labelled: by folders, or by a table.
    ///   - split: the images that are taken of a folder that is divided into splits.
    ///   - isRecorded: whether the folders are those of a recipe, which are taken whole.
    private func images(
        _ task: String, folders: [String], classes: [String]? = nil, split: DataSplit = .training,
        isRecorded: Bool = false
    ) throws -> Reading {
        let folders =
            isRecorded
            ? folders
            : try folders.map { try Self.folder(of: split, $0, classesAreKnown: classes != nil, warn) }
        var large: [RGBImage] = []
        var keep: ((RGBImage) -> Void)?
        if views?.augmentation.crops == true {
            keep = { if let picture = sizedForCrops($0) { large.append(picture) } }
        }
        let labelled = try folders.map { folder in
            let path = BytePath(folder)
            guard classes != nil else { return try Self.table(path, task, split) }
            return try LabelledImages(path, for: split, LabelledReading(task: task))
        }
        for note in labelled.compactMap(\.?.notes).joined() where classes != nil { warn(note.about(task)) }
        let paths: [BytePath] = zip(folders, labelled).flatMap { (folder, images) -> [BytePath] in
            if let images, LabelledTable.isTable(images.source) { return images.items.map(\.path) }
            return [BytePath(folder)]
        }
        let prepared = try PreparedImages(paths, preparer: preparer, decoded: keep)
        if let first = prepared.skipped.first {
            let text = "\(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)"
            warn("\(task): \(text)")
        }
        let known = try classes.map { try Self.classes(of: prepared.paths, labelled.compactMap(\.self), $0, task) }
        let names = prepared.paths.map { path in
            let folder = folders.first { path.description.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }
            return String(path.description.dropFirst(folder?.count ?? 0).drop { $0 == "/" })
        }
        return images(task, prepared.pictures, large: large, names: names, classes: known, .folders(folders))
    }

    /// The index of each image's class among those of the task.
    private static func classes(
        of paths: [BytePath], _ labelled: [LabelledImages], _ names: [String], _ task: String
    ) throws -> [Int] {
        var known: [BytePath: Int] = [:]
        for images in labelled {
            if let unknown = images.classes.first(where: { !names.contains($0) }) {
                throw ModelError(images.source.description, "\"\(unknown)\" is no class of the task \"\(task)\"")
            }
            for item in try images.indexed(by: names).items { known[item.path] = item.class }
        }
        return try paths.map { path in
            guard let label = known[path] else { throw ModelError(path.description, "has no label") }
            return label
        }
    }

    /// The images that a table names; nil for what is no table.
    static func table(_ path: BytePath, _ task: String, _ split: DataSplit = .training) throws -> LabelledImages? {
        guard LabelledTable.isTable(path), InputReading.isTable(path) else { return nil }
        return try LabelledImages(path, for: split, LabelledReading(task: task))
    }

    /// The folder whose images may be used: of one that is divided into splits, that of the training images.
    ///
    /// - Throws: `FileError` when it has none, or looks divided but is not understood.
    static func trainingFolder(
        _ folder: String, classesAreKnown: Bool = false, _ warn: (Warning) -> Void
    ) throws -> String {
        try self.folder(of: .training, folder, classesAreKnown: classesAreKnown, warn)
    }

    private static func folder(
        of split: DataSplit, _ folder: String, classesAreKnown: Bool, _ warn: (Warning) -> Void
    ) throws -> String {
        guard let splits = try SplitFolder(BytePath(folder), classesAreKnown: classesAreKnown) else { return folder }
        let part = try splits.required(split)
        warn("\(folder) is divided into \(splits); only the images of \(part) are looked at")
        return part.description
    }

    private func view(of pictures: [RGBImage], _ task: String) -> CalibrationImages.View? {
        guard let views else { return nil }
        let augmented = AugmentedPictures(
            pictures, preparer: preparer, augmentation: views.augmentation, seed: views.seed, name: task)
        return { image, pass, patches in augmented.write(image, pass: pass, into: patches) }
    }

    /// What compares merges on images that nothing is chosen on.
    func observer(_ adapters: [WeightedAdapter], _ images: [CalibrationImages]) throws -> MergeTuner {
        try MergeTuner(
            base: base, adapters: adapters, images: images, imageSize: base.configuration.inputSize(preprocessing),
            passes: passes, cache: cache, choosing: false)
    }

    /// What tunes merges on the images of the adapters' tasks, and how they are used.
    ///
    /// - Parameters:
    ///   - align: whether heads are aligned.
    ///   - tune: what chooses the scale, if it is chosen.
    ///   - maximumDrop: the drop in percent that groups are chosen for, if they are.
    func tuner(
        _ adapters: [WeightedAdapter], _ settings: CalibrationSettings, align: Bool,
        tune: CalibrationUse.Tuning? = nil, maximumDrop: Double? = nil
    ) throws -> (tuner: MergeTuner, use: CalibrationUse) {
        let images = try images(of: adapters, settings)
        var use = CalibrationUse(
            images: images.map(\.record), align: align, alignRank: settings.alignment?.rank, tune: tune,
            maxDrop: maximumDrop, fitted: fitted(images.map(\.record), settings))
        if align { warnOfFewImages(images.map(\.images)) }
        let tuner = try tuner(adapters, images.map(\.images))
        use.precision = try precision(of: tuner, settings.precision)
        return (tuner.computing(in: use.precision?.type ?? .f32), use)
    }

    /// The images of some adapters' tasks that are for nothing but fits, and how they are used.
    func images(
        for adapters: [Adapter], _ settings: CalibrationSettings
    ) throws -> (images: [CalibrationImages], use: CalibrationUse) {
        let given = adapters.filter { settings.sources[$0.task] != .folders([]) }
        let images = try images(of: given.map { WeightedAdapter($0) }, settings)
        let records = images.map(\.record)
        return (images.map(\.images), CalibrationUse(images: records, align: false, fitted: fitted(records, settings)))
    }

    /// The tasks that the images make a fit of: those that have images of their own.
    private func fitted(_ images: [CalibrationUse.Images], _ settings: CalibrationSettings) -> [String] {
        guard settings.makesFits else { return [] }
        let (fitted, others) = images.reduce(into: ([String](), [String]())) { result, item in
            let isShared = images.contains { $0.task != item.task && $0.sha256 == item.sha256 }
            if item.areDrawn || isShared { result.1.append(item.task) } else { result.0.append(item.task) }
        }
        if !others.isEmpty {
            let names = others.joined(separator: ", ")
            warn("no fit of \(names): the images are drawn, or those of another task as well")
        }
        return fitted
    }

    /// What tunes merges on the images.
    func tuner(_ adapters: [WeightedAdapter], _ images: [CalibrationImages]) throws -> MergeTuner {
        try MergeTuner(
            base: base, adapters: adapters, images: images, imageSize: base.configuration.inputSize(preprocessing),
            passes: passes, cache: cache)
    }
}
