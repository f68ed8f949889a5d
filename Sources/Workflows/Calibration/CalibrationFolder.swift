import Datasets
import Files

/// Folders whose images something is fitted to.
package enum CalibrationFolder {
    /// The folder to read: the training split of one that is divided into splits, else the folder itself.
    ///
    /// - Parameters:
    ///   - classesAreKnown: whether the images are labelled by folders of classes.
    ///   - warn: told when only a split is read.
    /// - Throws: `FileError` when it has no training split, or looks divided but is not understood.
    package static func fitted(
        _ folder: String, classesAreKnown: Bool = false, _ warn: (String) -> Void
    ) throws -> String {
        guard let splits = try SplitFolder(BytePath(folder), classesAreKnown: classesAreKnown) else { return folder }
        let training = try splits.required(.training)
        warn("\(folder) is divided into \(splits); only the images of \(training) are used")
        return training.description
    }
}
