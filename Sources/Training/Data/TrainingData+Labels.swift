package import Datasets
package import Files
import VisionTransformers

extension TrainingData {
    /// Lists the images of a table whose rows have any number of labels. Of one that tells splits apart, test images
    /// are not taken.
    ///
    /// What is held back for validation is drawn label by label (see `StratifiedSplit`).
    ///
    /// - Parameter separator: what separates the labels of a cell.
    /// - Throws: `FileError` for folders and tables that cannot be used; `ModelError` when the
    ///   validation images have a label that no training image has, or every image has the only label.
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
                throw ModelError("\(path)", "has the validation images; --val-fraction is for data without them")
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

    /// The classes or labels, by their places, that an image of these shows.
    package func shown(by target: Int) -> [Int] { labels?.sets[target] ?? [target] }
}
