import Adapters
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

    /// The folders of unlabelled images, or the tables that name them, by task.
    package var folders: [String: [String]]
    /// The folders of class folders, or tables, of tasks that are tuned by their labels, by task.
    package var labelled: [String: String]
    /// How heads are aligned; nil if they are not.
    package var alignment: Alignment?
    /// How many images are computed at the same time.
    package var threads: Int

    /// Images.
    package init(
        folders: [String: [String]], labelled: [String: String] = [:], alignment: Alignment? = nil, threads: Int
    ) {
        (self.folders, self.labelled, self.alignment, self.threads) = (folders, labelled, alignment, threads)
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
        try adapters.enumerated().map { index, item in
            let task = item.adapter.task
            return try LongWork.part("reading tasks", index, of: adapters.count) {
                if let folder = settings.labelled[task] {
                    try item.adapter.head.activation.requireSoftmax(task: task, for: "choosing a scale by labels")
                    return try images(task, folders: [folder], classes: item.adapter.head.classes)
                }
                return try images(task, folders: settings.folders[task] ?? [])
            }
        }
    }

    /// The images that a recipe tells of, from where they are now.
    ///
    /// - Throws: `ModelError` naming images that are not those that were used.
    func images(again use: CalibrationUse) throws -> [CalibrationImages] {
        try use.images.enumerated().map { index, item in
            let found = try LongWork.part("reading tasks", index, of: use.images.count) {
                try images(item.task, folders: item.folders, isRecorded: true)
            }
            guard found.record.sha256 == item.sha256 else {
                throw ModelError(
                    item.folders.joined(separator: ", "),
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
        if let augmentation = views?.augmentation, augmentation.crops {
            keep = { large.append(AugmentedPictures.sizedForCrops($0, preparer: preparer, augmentation: augmentation)) }
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
        let pictures = prepared.pictures
        let images = CalibrationImages(
            task: task, count: pictures.count, classes: known, view: view(of: large.isEmpty ? pictures : large, task)
        ) { [preparer] index, patches in
            preparer.writePatches(of: pictures[index], into: patches)
        }
        let digest = SHA256.text(of: (pictures + large).lazy.map(\.pixels))
        return (images, .init(task: task, folders: folders, count: pictures.count, sha256: digest))
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
