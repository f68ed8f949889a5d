package import Datasets
package import Files
import VisionTransformers

/// The labelled images of a run: training images, and validation images that choose the best epoch.
package struct TrainingData: Sendable, Equatable {
    /// The folder or table as given.
    package let source: BytePath
    /// The class names in the order of the logits.
    package let classes: [String]
    /// The training images.
    package let training: [LabelledImages.Item]
    /// The validation images, evaluated after each epoch; may be empty.
    package let validation: [LabelledImages.Item]
    /// Notes for the user on how the data was read, one sentence each.
    package let notes: [Warning]
    /// The sets of labels, where an image may show several; then an item's `class` is the index of its set.
    package internal(set) var labels: LabelTargets?

    /// Where the validation images come from.
    package enum Validation: Sendable, Equatable {
        /// The validation split of the folder or table, else a tenth of the training images.
        case usual
        /// This share of the training images, from 0 (none) to below 1.
        case fraction(Double)
        /// A folder of class folders, a folder with splits, or a table.
        case data(BytePath)
    }

    /// The default share of validation images.
    package static let usualFraction = 0.1

    private static let nothingToHoldBack = "has the validation images, so none are held back"

    /// Lists the images.
    ///
    /// `DIR/{train,val}/<class>/...` if DIR is a `SplitFolder`; else `DIR/<class>/...`; or a `LabelledTable`, which
    /// may also have splits. Test images are left out.
    ///
    /// - Throws: `FileError` for an invalid folder or table, and for a folder whose splits are ambiguous; `ModelError`
    ///   when there is only one class, or a class has validation images but no training images.
    package init(
        _ path: BytePath, validation: Validation = .usual, _ reading: LabelledReading = LabelledReading(), seed: UInt64
    ) throws {
        let parts = try Parts(path, reading)
        let images = parts.training
        source = path
        classes = images.classes
        guard classes.count > 1 else {
            throw ModelError("\(images.source)", "only one class, \"\(classes[0])\"; expected at least two")
        }
        let fraction: Double
        var held = parts.validation
        switch validation {
        case .data(let other):
            let folder = try SplitFolder(other)?.required(.validation)
            held = try LabelledImages(folder ?? other, for: .validation, reading)
            fraction = 0
        case .usual: fraction = Self.usualFraction
        case .fraction(let given):
            if let held {
                throw ModelError(
                    "\(held.source)", Self.nothingToHoldBack, remedy: TrainingRemedy.omitValidationFraction)
            }
            fraction = given
        }
        notes = images.notes + (held?.notes ?? []).filter { !images.notes.contains($0) }
        if let held {
            (training, self.validation) = (images.items, try TrainingData.validation(held, classes))
            return
        }
        (training, self.validation) =
            fraction > 0
            ? StratifiedSplit.split(images.items, classes: classes.count, fraction: fraction, seed: seed)
            : (images.items, [])
    }

    /// The training images of a folder or table, and its validation images if it has that split.
    private struct Parts {
        let training: LabelledImages
        let validation: LabelledImages?

        init(_ path: BytePath, _ reading: LabelledReading) throws(FileError) {
            func folder(_ path: BytePath) throws(FileError) -> LabelledImages {
                try LabelledImages(folder: path, endings: reading.endings)
            }
            if let splits = try SplitFolder(path) {
                training = try folder(splits.required(.training))
                validation =
                    if let path = splits.folder(.validation) { try folder(path) } else { nil }
                return
            }
            try SplitFolder.checkClasses(of: path)
            training = try LabelledImages(path, for: .training, reading)
            validation =
                if LabelledTable.isTable(path), try LabelledTable(path, reading).splits.contains(.validation) {
                    try LabelledImages(path, for: .validation, reading)
                } else { nil }
        }
    }

    /// The validation images with the class indices of the training images.
    private static func validation(_ images: LabelledImages, _ classes: [String]) throws -> [LabelledImages.Item] {
        let unknown = images.classes.filter { !classes.contains($0) }
        guard unknown.isEmpty else {
            throw ModelError(
                "\(images.source)", "classes without training images: \(unknown.joined(separator: ", "))")
        }
        return try images.indexed(by: classes).items
    }
}

extension TrainingData {
    /// Lists the images of a table whose rows have any number of labels. If it has splits, test images are left out.
    ///
    /// Validation images are held back label by label (see `StratifiedSplit`).
    ///
    /// - Parameter separator: separates the labels of a cell.
    /// - Throws: `FileError` for an invalid folder or table; `ModelError` when a validation image has a label that no
    ///   training image has, or every image has the only label.
    package init(
        multiLabel path: BytePath, separator: String, validation: Validation = .usual,
        _ reading: LabelledReading = LabelledReading(), seed: UInt64
    ) throws {
        let table = try LabelledTable(severalLabels: path, reading, separator: separator)
        let images = try table.labels([.training], separator: separator)
        let classes = images.classes
        if classes.count == 1, images.sets.allSatisfy({ !$0.isEmpty }) {
            throw ModelError(
                "\(path)",
                "every image has the only label, \"\(classes[0])\"; a yes/no head needs images without it, "
                    + "which have an empty label cell")
        }
        var held = table.splits.contains(.validation) ? try table.labels([.validation], separator: separator) : nil
        var fraction = Self.usualFraction
        switch validation {
        case .usual: break
        case .data(let other):
            held = try LabelledTable(severalLabels: other, reading, separator: separator)
                .labels([.validation], separator: separator)
        case .fraction(let given):
            guard held == nil else {
                throw ModelError("\(path)", Self.nothingToHoldBack, remedy: TrainingRemedy.omitValidationFraction)
            }
            fraction = given
        }
        source = path
        self.classes = classes
        notes = images.notes + (held?.notes ?? []).filter { !images.notes.contains($0) }
        var sets = images.sets
        if let held {
            let unknown = held.classes.filter { !classes.contains($0) }
            guard unknown.isEmpty else {
                throw ModelError(
                    "\(held.source)", "labels without training images: \(unknown.joined(separator: ", "))")
            }
            let (moved, first) = (held.indexed(by: classes), sets.count)
            sets += moved.sets
            training = images.items
            self.validation = moved.items.map { LabelledImages.Item(path: $0.path, class: first + $0.class) }
        } else {
            (training, self.validation) =
                fraction > 0
                ? StratifiedSplit.split(
                    images.items, sets: sets, classes: classes.count, fraction: fraction, seed: seed)
                : (images.items, [])
        }
        labels = LabelTargets(sets: sets)
    }

    /// The indices of the classes or labels that a target stands for.
    package func shown(by target: Int) -> [Int] { labels?.sets[target] ?? [target] }
}

/// The numbers of training images of each class, or with each label.
package struct ClassCounts: Sendable, Equatable {
    /// The classes in the order of the logits.
    package let classes: [String]
    /// The number of images of each.
    package let images: [Int]

    /// A ratio of the largest to the smallest class beyond which classes are called unbalanced.
    package static let balancedRatio = 5.0

    /// Counts the training images of some data, before they are read.
    package init(_ data: TrainingData) {
        var images = [Int](repeating: 0, count: data.classes.count)
        for item in data.training { for index in data.shown(by: item.class) { images[index] += 1 } }
        (classes, self.images) = (data.classes, images)
    }

    /// The indices of the classes, those with the most images first.
    package var order: [Int] { images.indices.sorted { (images[$1], $0) < (images[$0], $1) } }

    /// The largest and the smallest class, if the first has more than `balancedRatio` times the images of the second.
    package var unbalanced: (largest: Int, smallest: Int)? {
        guard let largest = order.first, let smallest = order.last,
            Double(images[largest]) > Self.balancedRatio * Double(images[smallest])
        else { return nil }
        return (largest, smallest)
    }
}

/// What can be done about data or settings that a model cannot be trained with.
package enum TrainingRemedy: Remedy {
    /// Do not ask for a share of validation images.
    case omitValidationFraction
    /// Allow images in memory to take more of it.
    case raiseImageMemory
    /// Do not balance the labels.
    case omitBalancing
    /// Train a head without an adapter.
    case trainHeadAlone
}
