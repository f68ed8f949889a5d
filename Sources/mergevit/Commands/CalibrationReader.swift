import Adapters
import Datasets
import Files
import Images
import Labelling
import Logging
import Training
import VisionTransformers

/// Reads calibration images as the base's preprocessing makes them.
struct CalibrationReader {
    private let base: Checkpoint
    private let log: Logger
    private let preprocessing: Preprocessing
    private let preparer: PatchPreparer
    private let threads: Int
    /// How images change from pass to pass over them, if they do, and what that is drawn from.
    private let views: (augmentation: Augmentation, seed: UInt64)?

    init(
        _ base: Checkpoint, threads: Int, views: (augmentation: Augmentation, seed: UInt64)?, _ log: Logger
    ) throws {
        (self.base, self.threads, self.views, self.log) = (base, threads, views, log)
        preprocessing = try base.preprocessing()
        preparer = PatchPreparer(preprocessing, configuration: base.configuration, decoding: DecodingOptions())
    }

    /// A task's images, and what a recipe says of them.
    ///
    /// - Parameters:
    ///   - folders: where the images are, or tables that name them; of one that is divided into splits the training images are taken.
    ///   - classes: the task's classes, if the images are labelled: by folders, or by a table.
    ///   - isRecorded: whether the folders are those of a recipe, which are taken as they are.
    func images(
        _ task: String, folders: [String], classes: [String]? = nil, isRecorded: Bool = false
    ) throws -> (images: CalibrationImages, record: CalibrationRecord.Images) {
        let folders =
            isRecorded ? folders : try folders.map { try Self.fitted($0, classesAreKnown: classes != nil, log) }
        var large: [RGBImage] = []
        var keep: ((RGBImage) -> Void)?
        if let augmentation = views?.augmentation, augmentation.crops {
            keep = { large.append(PictureViews.kept($0, preparer: preparer, augmentation: augmentation)) }
        }
        let labelled = try folders.map { folder in
            let path = BytePath(folder)
            let isRead = classes != nil || LabelledTable.isTable(path) && InputReading.isTable(path)
            return isRead ? try LabelledImages(path, for: .training, LabelledReading(task: task)) : nil
        }
        for note in labelled.compactMap(\.?.notes).joined() where classes != nil { log.warning("\(task): \(note)") }
        let paths: [BytePath] = zip(folders, labelled).flatMap { (folder, images) -> [BytePath] in
            if let images, LabelledTable.isTable(images.source) { return images.items.map(\.path) }
            return [BytePath(folder)]
        }
        let prepared = try PreparedImages(paths, preparer: preparer, decoded: keep)
        if let first = prepared.skipped.first {
            log.warning(
                "\(task): \(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)"
            )
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

    /// The place of each image's class among those of the task.
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

    /// The folder whose images something may be fitted to: of one that is divided into splits that of the training images.
    ///
    /// - Throws: `FileError` when it has none, or looks divided but is not understood.
    static func fitted(_ folder: String, classesAreKnown: Bool = false, _ log: Logger) throws -> String {
        guard let splits = try SplitFolder(BytePath(folder), classesAreKnown: classesAreKnown) else { return folder }
        let training = try splits.required(.training)
        log.warning("\(folder) is divided into \(splits); only the images of \(training) are looked at")
        return training.description
    }

    private func view(of pictures: [RGBImage], _ task: String) -> CalibrationImages.View? {
        guard let views else { return nil }
        let own = PictureViews(
            pictures, preparer: preparer, augmentation: views.augmentation, seed: views.seed, name: task)
        return { image, pass, patches in own.write(image, pass: pass, into: patches) }
    }

    func calibrator(_ adapters: [WeightedAdapter], _ images: [CalibrationImages]) throws -> Calibrator {
        try Calibrator(
            base: base, adapters: adapters, images: images, imageSize: base.configuration.inputSize(preprocessing),
            threads: threads)
    }
}
