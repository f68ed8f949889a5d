package import Files

/// A folder that is divided into splits: `DIR/{train,val,test}/<class>/...`, with any of the usual names.
///
/// All commands use this type, so that none learns from images on which another measures. A folder that looks divided
/// in a way that is not supported is refused.
package struct SplitFolder: Sendable, Equatable, CustomStringConvertible {
    /// The folder itself.
    package let root: BytePath
    /// The name of the folder of each split.
    private let names: [DataSplit: String]

    /// Checks whether a folder is divided into splits; nil when it is not, or cannot be listed.
    ///
    /// It is divided when all its folders have names of splits. One such name among others is a class (of trains, say)
    /// if the folder contains pictures; if it contains folders, the whole looks divided.
    ///
    /// - Parameter classesAreKnown: whether the folders are later checked to be classes of a model, so that looks do
    ///   not matter.
    /// - Throws: `FileError` when it looks divided, but a folder is none of the splits, two folders are the same split,
    ///   or folders below are divided instead.
    package init?(_ root: BytePath, classesAreKnown: Bool = false) throws(FileError) {
        guard let contents = try? FolderContents(root) else { return nil }
        let folders = contents.folders.map { String(decoding: $0, as: UTF8.self) }
        let splits = folders.filter { DataSplit(name: $0) != nil }
        guard !folders.isEmpty, splits.count == folders.count else {
            if !classesAreKnown { try SplitFolder.checkUndivided(root, contents.folders) }
            try SplitFolder.checkBelow(root, contents.folders, depth: 2)
            return nil
        }
        var names: [DataSplit: String] = [:]
        for name in folders.sorted() {
            guard let split = DataSplit(name: name) else { continue }
            if let other = names.updateValue(name, forKey: split) {
                throw FileError(
                    path: root,
                    reason:
                        "\(other) and \(name) are two names for the \(split.rawValue) images; "
                        + "expected one folder of them"
                )
            }
        }
        (self.root, self.names) = (root, names)
    }

    /// The folder of a split; nil if there is none.
    package func folder(_ split: DataSplit) -> BytePath? {
        names[split].map { root.appending(Array($0.utf8)) }
    }

    /// The folder of a split that must exist.
    ///
    /// - Throws: `FileError` when there is none.
    package func required(_ split: DataSplit) throws(FileError) -> BytePath {
        if let folder = folder(split) { return folder }
        throw FileError(
            path: root,
            reason: "is divided into \(self), and has no \(split.rawValue) images: expected a folder \(split.usualName)"
        )
    }

    /// The names of its folders in the order of training, validation, test: "train, valid and test".
    package var description: String {
        SplitFolder.list(DataSplit.allCases.compactMap { names[$0] })
    }

    private static func list(_ names: [String]) -> String {
        guard names.count > 1, let last = names.last else { return names.joined() }
        return "\(names.dropLast().joined(separator: ", ")) and \(last)"
    }

    /// Checks that a folder whose folders are not all splits does not look divided.
    private static func checkUndivided(_ root: BytePath, _ folders: [[UInt8]]) throws(FileError) {
        func name(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        let divided = folders.filter { folder in
            guard DataSplit.isNamed(in: name(folder)), let contents = try? FolderContents(root.appending(folder)) else {
                return false
            }
            return !contents.folders.isEmpty && !contents.holdsPictures
        }
        if let first = divided.first {
            let splits = list(divided.map(name).sorted())
            let others = folders.filter { DataSplit(name: name($0)) == nil }.map(name).sorted()
            let training = divided.first { DataSplit(name: name($0)) == .training }
            throw FileError(
                path: root,
                reason: "looks divided into splits (\(splits)), but \(LabelledImages.some(others)) "
                    + "\(others.count == 1 ? "is" : "are") none: expected folders train, val and test and no others; "
                    + "move or rename what is not one, or give \(root.appending(training ?? first))")
        }
    }

    /// Checks that no folder below is divided: `DIR/<class>/{train,test}/...`, or a folder of several data sets.
    private static func checkBelow(_ root: BytePath, _ folders: [[UInt8]], depth: Int) throws(FileError) {
        for folder in folders {
            let path = root.appending(folder)
            guard let contents = try? FolderContents(path) else { continue }
            let splits = contents.folders.map { String(decoding: $0, as: UTF8.self) }.filter {
                DataSplit(name: $0) != nil
            }
            guard splits.count < 2 else {
                throw FileError(
                    path: root,
                    reason: "\(path) is divided into \(list(splits.sorted())) itself: give the folder of one data set, "
                        + "with its images in train/<class>, val/<class> and test/<class>")
            }
            if depth > 1 { try checkBelow(path, contents.folders, depth: depth - 1) }
        }
    }

    /// Checks that the folders of a folder can be classes. They cannot if all contain the same folders and no pictures.
    ///
    /// - Throws: `FileError` when they look like parts of a data set, each with the folders of all classes.
    package static func checkClasses(of root: BytePath) throws(FileError) {
        guard let contents = try? FolderContents(root), contents.folders.count > 1 else { return }
        var common: Set<[UInt8]>?
        for folder in contents.folders {
            guard let below = try? FolderContents(root.appending(folder)), below.folders.count > 1,
                !below.holdsPictures, common == nil || common == Set(below.folders)
            else { return }
            common = Set(below.folders)
        }
        let parts = contents.folders.map { String(decoding: $0, as: UTF8.self) }.sorted()
        let classes = (common ?? []).map { String(decoding: $0, as: UTF8.self) }.sorted()
        throw FileError(
            path: root,
            reason:
                "its folders (\(LabelledImages.some(parts))) all contain the same folders "
                + "(\(LabelledImages.some(classes))): they look like parts of a data set, not like classes. "
                + "Give one of them, name them train, val and test, or list the images in a table with the "
                + "columns path and label"
        )
    }
}

/// The names of the folders and files in a folder, except those with an `IgnoredName`.
struct FolderContents {
    private(set) var folders: [[UInt8]] = []
    private(set) var files: [[UInt8]] = []

    /// Lists a folder.
    ///
    /// - Throws: `FileError` when it cannot be listed.
    init(_ folder: BytePath) throws(FileError) {
        func failure(_ error: SystemError) -> FileError {
            FileError(path: folder, reason: "cannot list the folder: \(error)")
        }
        let listing: FolderListing
        do throws(SystemError) { listing = try FolderListing(folder) } catch { throw failure(error) }
        if let error = listing.failure { throw failure(error) }
        for index in listing.entries.indices {
            let name = Array(listing.name(index))
            if listing.entries[index].isFolder { folders.append(name) } else { files.append(name) }
        }
    }

    /// Whether one of the files has the name of a picture, or a name without extension.
    var holdsPictures: Bool {
        files.contains { name in
            let ending = InputReading.ending(name)
            return ending.isEmpty || FolderContents.pictureEndings.contains(ending)
        }
    }

    private static let pictureEndings: Set<String> = [
        "png", "jpg", "jpeg", "jpe", "jfif", "mpo", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "jp2",
        "ppm", "pgm", "pbm", "pnm", "dng",
    ]
}
