package import Adapters
import Datasets
import Files
import Images
import Training
import VisionTransformers

/// The calibration images of a merge, and how its heads are aligned on them.
package struct CalibrationSettings: Sendable {
    /// How heads are aligned.
    package struct Alignment: Sendable, Equatable {
        /// The rank of the alignment, nil for full.
        package let rank: Int?

        /// An alignment.
        package init(rank: Int?) { self.rank = rank }
    }

    /// Where the unlabelled images of each task are from: folders, tables that name them, or a seed that draws them.
    package var sources: [String: CalibrationUse.Source]
    /// The folders of class folders, or tables, of tasks that are tuned by their labels, by task.
    package var labelled: [String: String]
    /// How heads are aligned; nil if they are not.
    package var alignment: Alignment?
    /// How many images are computed at the same time.
    package var threads: Int

    /// Images.
    package init(
        sources: [String: CalibrationUse.Source], labelled: [String: String] = [:], alignment: Alignment? = nil,
        threads: Int
    ) {
        (self.sources, self.labelled, self.alignment, self.threads) = (sources, labelled, alignment, threads)
    }
}

/// Reads calibration images as the base's preprocessing makes them.
package struct CalibrationReader {
    typealias TaskImages = (images: CalibrationImages, record: CalibrationUse.Images)

    private let base: Checkpoint
    private let warn: (Warning) -> Void
    private let preprocessing: Preprocessing
    private let preparer: PatchPreparer
    private let threads: Int
    /// How images change from pass to pass over them, if they do, and what that is drawn from.
    private let views: (augmentation: Augmentation, seed: UInt64)?

    init(
        _ base: Checkpoint, threads: Int, views settings: DistillationSettings?, _ warn: @escaping (Warning) -> Void
    ) throws {
        (self.base, self.threads, self.warn) = (base, threads, warn)
        views = settings.map { (Augmentation($0), $0.seed) }
        preprocessing = try base.preprocessing()
        preparer = PatchPreparer(preprocessing, configuration: base.configuration, decoding: DecodingOptions())
    }

    /// The images of the adapters' tasks, with their records for the recipe.
    func images(of adapters: [WeightedAdapter], _ settings: CalibrationSettings) throws -> [TaskImages] {
        let tasks = adapters.map(\.adapter.task)
        let sources = tasks.map { settings.labelled[$0].map { .folders([$0]) } ?? settings.sources[$0] ?? .folders([]) }
        let drawn = try pictures(drawnFor: sources)
        warnOfDrawing(zip(tasks, sources).filter { drawn[$0.1] != nil }.map(\.0), from: drawn.keys.first)
        return try adapters.enumerated().map { index, item in
            let task = item.adapter.task
            return try LongWork.part("reading tasks", index, of: adapters.count) {
                if let folder = settings.labelled[task] {
                    try item.adapter.head.activation.requireSoftmax(task: task, for: "choosing a scale by labels")
                    return try images(task, folders: [folder], classes: item.adapter.head.classes)
                }
                return try images(task, from: sources[index], drawn)
            }
        }
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
            guard found.record.sha256 == item.sha256 else {
                throw ModelError(
                    Self.place(of: item.source),
                    "not the calibration images of \"\(item.task)\" that were used: expected \(item.count) with "
                        + "SHA-256 "
                        + "\(item.sha256), found \(found.record.count) with \(found.record.sha256)")
            }
            return found.images
        }
    }

    /// Warns of tasks with so few held-out images that they hardly tell whether alignment helps.
    func warnOfFewImages(_ images: [CalibrationImages]) {
        let few = images.map { (task: $0.task, count: $0.indices(heldOut: true).count) }
            .filter { $0.count < Self.fewImages }
        guard !few.isEmpty else { return }
        let counts = few.map { "\($0.task) \($0.count)" }.joined(separator: ", ")
        warn(
            """
            fewer than \(Self.fewImages) held-out images, one in \(CalibrationImages.holdOutEvery) of a task's, tell \
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
    ) throws -> TaskImages {
        if case .folders(let folders) = source { return try images(task, folders: folders, isRecorded: isRecorded) }
        let pictures = drawn[source] ?? []
        return images(task, pictures, large: pictures.compactMap(sizedForCrops), classes: nil, source)
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
        _ task: String, _ pictures: [RGBImage], large: [RGBImage], classes: [Int]?, _ source: CalibrationUse.Source
    ) -> TaskImages {
        let images = CalibrationImages(
            task: task, count: pictures.count, classes: classes, view: view(of: large.isEmpty ? pictures : large, task)
        ) { [preparer] index, patches in
            preparer.writePatches(of: pictures[index], into: patches)
        }
        let digest = SHA256.text(of: (pictures + large).lazy.map(\.pixels))
        return (images, .init(task: task, source: source, count: pictures.count, sha256: digest))
    }

    /// A task's images, with their record for the recipe.
    ///
    /// - Parameters:
    ///   - folders: the images' folders, or tables that name them; of a folder that is divided into splits the training
    ///     images are taken.
    ///   - classes: the task's classes, if the images are labelled: by folders, or by a table.
    ///   - isRecorded: whether the folders are those of a recipe, which are taken whole.
    private func images(
        _ task: String, folders: [String], classes: [String]? = nil, isRecorded: Bool = false
    ) throws -> TaskImages {
        let folders =
            isRecorded
            ? folders
            : try folders.map { try Self.trainingFolder($0, classesAreKnown: classes != nil, warn) }
        var large: [RGBImage] = []
        var keep: ((RGBImage) -> Void)?
        if views?.augmentation.crops == true {
            keep = { if let picture = sizedForCrops($0) { large.append(picture) } }
        }
        let labelled = try folders.map { folder in
            let path = BytePath(folder)
            let isRead = classes != nil || LabelledTable.isTable(path) && InputReading.isTable(path)
            return isRead ? try LabelledImages(path, for: .training, LabelledReading(task: task)) : nil
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
        return images(task, prepared.pictures, large: large, classes: known, .folders(folders))
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

    /// The folder whose images may be used: of one that is divided into splits, that of the training images.
    ///
    /// - Throws: `FileError` when it has none, or looks divided but is not understood.
    static func trainingFolder(
        _ folder: String, classesAreKnown: Bool = false, _ warn: (Warning) -> Void
    ) throws -> String {
        guard let splits = try SplitFolder(BytePath(folder), classesAreKnown: classesAreKnown) else { return folder }
        let training = try splits.required(.training)
        warn("\(folder) is divided into \(splits); only the images of \(training) are looked at")
        return training.description
    }

    private func view(of pictures: [RGBImage], _ task: String) -> CalibrationImages.View? {
        guard let views else { return nil }
        let augmented = AugmentedPictures(
            pictures, preparer: preparer, augmentation: views.augmentation, seed: views.seed, name: task)
        return { image, pass, patches in augmented.write(image, pass: pass, into: patches) }
    }

    /// What tunes merges on the images.
    func tuner(_ adapters: [WeightedAdapter], _ images: [CalibrationImages]) throws -> MergeTuner {
        try MergeTuner(
            base: base, adapters: adapters, images: images, imageSize: base.configuration.inputSize(preprocessing),
            threads: threads)
    }
}
