import Adapters
import Compute
import Datasets
import Files
import Images
import Labelling
import Tensors
import Training
import VisionTransformers

/// The images of one task of a study: those for evaluation, and those for training.
struct StudyImages {
    /// The task's name.
    let name: String
    /// The images for evaluation.
    let measured: LabelledImages
    /// Their split: `test`, or `val` where there is no `test`.
    let split: String
    /// The images for training, tuning and alignment; nil when there is only `test`.
    let training: TrainingData?

    /// Lists a task's images.
    ///
    /// - Throws: `FileError`, `ModelError` for invalid folders, or when there are no images for evaluation.
    init(_ task: StudyJob.Task, seed: UInt64) throws {
        name = task.name
        let reading = LabelledReading(task: task.name)
        let splits = try SplitFolder(task.data)
        let test = splits?.folder(.test)
        let hasTestRows =
            try LabelledTable.isTable(task.data) && LabelledTable(task.data, reading).splits.contains(.test)
        training =
            test != nil && splits?.folder(.training) == nil
            ? nil : try TrainingData(task.data, reading, seed: seed)
        if test != nil || hasTestRows {
            (measured, split) = (try LabelledImages(test ?? task.data, for: .test, reading), "test")
        } else if let training, !training.validation.isEmpty {
            measured = LabelledImages(source: training.source, classes: training.classes, items: training.validation)
            split = "val"
        } else {
            throw ModelError("\(task.data)", "no images for evaluation: expected a folder test or val")
        }
    }

    /// Notes for the user on how the data was read, one sentence each.
    var notes: [Warning] {
        let notes = training?.notes ?? []
        return notes + measured.notes.filter { !notes.contains($0) }
    }

    /// The images for training.
    ///
    /// - Parameter purpose: completes the error message.
    /// - Throws: `ModelError` when there are none.
    func training(for purpose: String) throws(ModelError) -> TrainingData {
        guard let training else {
            throw ModelError("\(measured.source)", "has no folder train beside it, whose images \(purpose)")
        }
        return training
    }

    /// At most `most` training images, evenly spaced, in their order.
    func calibration(most: Int) throws(ModelError) -> [LabelledImages.Item] {
        let items = try training(for: "scales and heads are fitted on").training
        guard items.count > most else { return items }
        return (0..<most).map { items[$0 * items.count / most] }
    }
}

/// Decodes pictures into memory, within a limit.
struct PictureLoader {
    let preparer: PatchPreparer
    let pool: WorkerPool
    /// The maximum memory of all pictures, in bytes.
    let limit: Int
    private var used = 0

    init(_ preparer: PatchPreparer, pool: WorkerPool, limit: Int) {
        (self.preparer, self.pool, self.limit) = (preparer, pool, limit)
    }

    /// Decodes and prepares images.
    ///
    /// - Throws: `ModelError` when they need more memory than is left; what `progress` throws.
    mutating func read(
        _ items: [LabelledImages.Item], of source: BytePath, progress: (_ done: Int) throws -> Void
    ) throws -> PictureStore {
        let bytes = items.count * preparer.imageSize.height * preparer.imageSize.width * 3
        used += bytes
        guard used <= limit else {
            throw ModelError(
                "\(source)",
                "with its \(items.count) images the pictures in memory take \(used >> 20) MiB; the limit is "
                    + "\(limit >> 20)",
                remedy: TrainingRemedy.raiseImageMemory)
        }
        return try PictureStore(items, preparer: preparer, form: .prepared, pool: pool, progress: progress)
    }
}

extension PictureStore {
    /// The number of pictures and the SHA-256 of `fingerprint`, which identify the data of a result.
    var binding: JSON {
        let digest = SHA256.text(ofUTF8: fingerprint)
        return .object(["images": .int(pictures.count), "sha256": .string(digest)])
    }
}
