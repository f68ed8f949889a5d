public import Labelling

/// The labelled images of a run: those to learn from, and those to choose the best epoch by.
public struct TrainingData: Sendable, Equatable {
    /// The folder or table that was named.
    public let source: BytePath
    /// The class names in the order of the logits.
    public let classes: [String]
    /// What is trained on.
    public let training: [LabelledImages.Item]
    /// What is only looked at after each epoch; may be empty.
    public let validation: [LabelledImages.Item]

    /// Where the validation images come from.
    public enum Validation: Sendable, Equatable {
        /// `DIR/val` where there is one, else a tenth of the training images.
        case usual
        /// This part of the training images, from 0 (none) to below 1.
        case fraction(Double)
        /// A folder of class folders, or a table.
        case data(BytePath)
    }

    /// The part that is held back unless told otherwise.
    public static let usualFraction = 0.1

    /// Lists the images.
    ///
    /// `DIR/{train,val}/<class>/...` if DIR has a folder `train` and no others but `val` and `test`, which is not read;
    /// else `DIR/<class>/...`; or a table with the columns path and label.
    ///
    /// - Throws: `LabellingError.labelledImages` for folders and tables that cannot be used; `TrainingError` when there is
    ///   one class alone, or a class has validation images but none to learn from.
    public init(_ path: BytePath, validation: Validation = .usual, seed: UInt64) throws {
        let folders = TrainingData.splits(path)
        let images = try folders.map { try LabelledImages(folder: $0.training) } ?? LabelledImages(path)
        source = path
        classes = images.classes
        guard classes.count > 1 else {
            throw TrainingError("\(images.source)", "one class alone, \"\(classes[0])\"; expected at least two")
        }
        let fraction: Double
        switch validation {
        case .data(let other):
            training = images.items
            self.validation = try TrainingData.validation(LabelledImages(other), classes)
            return
        case .usual:
            if let folder = folders?.validation {
                training = images.items
                self.validation = try TrainingData.validation(LabelledImages(folder: folder), classes)
                return
            }
            fraction = Self.usualFraction
        case .fraction(let given):
            if let folder = folders?.validation {
                throw TrainingError("\(folder)", "has the validation images; --val-fraction is for data without them")
            }
            fraction = given
        }
        (training, self.validation) =
            fraction > 0
            ? StratifiedSplit.split(images.items, classes: classes.count, fraction: fraction, seed: seed)
            : (images.items, [])
    }

    /// The validation images, their classes counted as the training images count them.
    private static func validation(_ images: LabelledImages, _ classes: [String]) throws -> [LabelledImages.Item] {
        let unknown = images.classes.filter { !classes.contains($0) }
        guard unknown.isEmpty else {
            throw TrainingError(
                "\(images.source)", "classes without training images: \(unknown.joined(separator: ", "))")
        }
        return try images.indexed(by: classes).items
    }

    /// The folders `train` and `val` of a folder that is split into them; nil if it is not.
    private static func splits(_ path: BytePath) -> (training: BytePath, validation: BytePath?)? {
        let folders = LabelledImages.folders(in: path)
        guard folders.contains("train"), folders.allSatisfy(["train", "val", "test"].contains) else { return nil }
        func folder(_ name: String) -> BytePath { path.appending(Array(name.utf8)) }
        return (folder("train"), folders.contains("val") ? folder("val") : nil)
    }
}
