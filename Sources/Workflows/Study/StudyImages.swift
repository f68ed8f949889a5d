import Adapters
package import Compute
package import Datasets
package import Files
import Images
import Labelling
import Tensors
package import Training
import VisionTransformers

/// The images of one task of a study: which are measured on, and which may be learnt from.
struct StudyImages {
    /// The task's name.
    let name: String
    /// What is measured on.
    let measured: LabelledImages
    /// The folder's name of it: `test`, or `val` where there is none.
    let split: String
    /// What may be trained on and looked at; nil when there is only `test`.
    let training: TrainingData?

    /// Lists a task's images.
    ///
    /// - Throws: `FileError`, `ModelError` for folders that cannot be used or when there is nothing to measure
    ///   on.
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
            throw ModelError("\(task.data)", "no images to measure on: expected a folder test or val")
        }
    }

    /// What a user ought to know of how they were read, a sentence each.
    var notes: [String] {
        let notes = training?.notes ?? []
        return notes + measured.notes.filter { !notes.contains($0) }
    }

    /// The images that may be trained on and looked at.
    ///
    /// - Parameter purpose: what they are wanted for, for the error.
    /// - Throws: `ModelError` when there are none.
    func training(for purpose: String) throws(ModelError) -> TrainingData {
        guard let training else {
            throw ModelError("\(measured.source)", "has no folder train beside it, whose images \(purpose)")
        }
        return training
    }

    /// At most so many training images, evenly spread, in their order.
    func calibration(most: Int) throws(ModelError) -> [LabelledImages.Item] {
        let items = try training(for: "scales and heads are fitted on").training
        guard items.count > most else { return items }
        return (0..<most).map { items[$0 * items.count / most] }
    }
}

/// Reads pictures into memory, within a limit.
package struct PictureLoader {
    package let preparer: PatchPreparer
    package let pool: WorkerPool
    /// The most memory that all pictures may take, in bytes.
    package let limit: Int
    private var used = 0

    package init(_ preparer: PatchPreparer, pool: WorkerPool, limit: Int) {
        (self.preparer, self.pool, self.limit) = (preparer, pool, limit)
    }

    /// Decodes and prepares images.
    ///
    /// - Throws: `ModelError` when they take more memory than is left; what `progress` throws.
    package mutating func read(
        _ items: [LabelledImages.Item], of source: BytePath, progress: (_ done: Int) throws -> Void
    ) throws -> PictureStore {
        let bytes = items.count * preparer.imageSize.height * preparer.imageSize.width * 3
        used += bytes
        guard used <= limit else {
            throw ModelError(
                "\(source)",
                "with its \(items.count) images the pictures in memory take \(used >> 20) MiB; --image-memory allows "
                    + "\(limit >> 20)")
        }
        return try PictureStore(items, preparer: preparer, kept: .prepared, pool: pool, progress: progress)
    }
}

extension PictureStore {
    /// The SHA-256 of `fingerprint`, with how many pictures there are: what results depend on.
    package var binding: JSON {
        let digest = SHA256.text(ofUTF8: fingerprint)
        return .object(["images": .int(pictures.count), "sha256": .string(digest)])
    }
}
