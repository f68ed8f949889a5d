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
        /// The validation images of a divided folder, else a tenth of the training images.
        case usual
        /// This part of the training images, from 0 (none) to below 1.
        case fraction(Double)
        /// A folder of class folders or one that is divided, or a table.
        case data(BytePath)
    }

    /// The part that is held back unless told otherwise.
    public static let usualFraction = 0.1

    /// Lists the images.
    ///
    /// `DIR/{train,val}/<class>/...` if DIR is a `SplitFolder`, whose test images are not read; else `DIR/<class>/...`; or a table
    /// with the columns path and label.
    ///
    /// - Throws: `LabellingError.labelledImages` for folders and tables that cannot be used, and for a folder that looks divided
    ///   into splits but is not understood; `TrainingError` when there is
    ///   one class alone, or a class has validation images but none to learn from.
    public init(_ path: BytePath, validation: Validation = .usual, seed: UInt64) throws {
        let splits = try SplitFolder(path)
        if splits == nil { try SplitFolder.checkClasses(of: path) }
        let images = try splits.map { try LabelledImages(folder: $0.required(.training)) } ?? LabelledImages(path)
        source = path
        classes = images.classes
        guard classes.count > 1 else {
            throw TrainingError("\(images.source)", "one class alone, \"\(classes[0])\"; expected at least two")
        }
        let fraction: Double
        switch validation {
        case .data(let other):
            training = images.items
            let folder = try SplitFolder(other)?.required(.validation)
            self.validation = try TrainingData.validation(LabelledImages(folder ?? other), classes)
            return
        case .usual:
            if let folder = splits?.folder(.validation) {
                training = images.items
                self.validation = try TrainingData.validation(LabelledImages(folder: folder), classes)
                return
            }
            fraction = Self.usualFraction
        case .fraction(let given):
            if let folder = splits?.folder(.validation) {
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
}
