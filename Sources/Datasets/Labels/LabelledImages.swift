package import Files
import VisionTransformers

/// Images with one class each, for training and evaluation.
package struct LabelledImages: Sendable, Equatable {
    /// One image.
    package struct Item: Sendable, Hashable {
        /// The image's file.
        package let path: BytePath
        /// The index of its class in `classes`.
        package let `class`: Int

        /// An image of a class.
        package init(path: BytePath, class: Int) { (self.path, self.class) = (path, `class`) }
    }

    /// The folder or table that lists the images.
    package let source: BytePath
    /// The class names, in byte order when read from a folder or table.
    package let classes: [String]
    /// The images: of a folder by class and then in byte order of their paths; of a table in its order.
    package let items: [Item]

    /// Notes for the user on how the images were read, one sentence each.
    package let notes: [Warning]

    /// Images from their parts. The caller guarantees that every item's class is among the classes.
    package init(source: BytePath, classes: [String], items: [Item], notes: [Warning] = []) {
        (self.source, self.classes, self.items, self.notes) = (source, classes, items, notes)
    }

    /// Reads a folder of class folders (`init(folder:endings:)`), or a `LabelledTable`.
    ///
    /// - Parameter split: the purpose of the images; of a table with splits, only its images are taken.
    /// - Throws: `FileError` as the two do, or when a table has no images of the split.
    package init(
        _ path: BytePath, for split: DataSplit, _ reading: LabelledReading = LabelledReading()
    ) throws(FileError) {
        switch FileStatus.of(path) {
        case .failure(let error): throw FileError(path: path, reason: "\(error)")
        case .success(let status) where status.isFolder: self = try .init(folder: path, endings: reading.endings)
        case .success:
            let table = try LabelledTable(path, reading)
            self = table.images([split])
            guard !items.isEmpty else {
                throw FileError(
                    path: path, reason: "no row belongs to the \(split.rawValue) images, which are needed here")
            }
        }
    }

    /// Reads the images on which a model is measured, as `init(_:for:_:)` does. Of a folder that is divided into splits
    /// they are the test images, or without any the validation images.
    ///
    /// - Throws: `FileError` also for a folder that has neither.
    package init(
        measuredOn path: BytePath, _ reading: LabelledReading = LabelledReading()
    ) throws(FileError) {
        if let splits = try SplitFolder(path, classesAreKnown: true) {
            let hasTest = splits.folder(.test) != nil || splits.folder(.validation) == nil
            let part = try splits.required(hasTest ? .test : .validation)
            let images = try LabelledImages(folder: part, endings: reading.endings)
            self.init(
                source: part, classes: images.classes, items: images.items,
                notes: images.notes + ["\(path) is divided into \(splits); only the images of \(part) are measured on"])
            return
        }
        guard case .success(let status) = FileStatus.of(path), !status.isFolder else {
            self = try .init(path, for: .test, reading)
            return
        }
        let table = try LabelledTable(path, reading)
        let measured = table.measuredSplit
        let images = table.images((measured?.split).map { [$0] })
        self.init(
            source: path, classes: images.classes, items: images.items,
            notes: images.notes + [measured?.note].compactMap(\.self))
    }

    /// Reads `FOLDER/<class>/...`: every folder is a class, and all files below it are its images, except those with an
    /// `IgnoredName`. The class has the folder's name without surrounding white space, or the name that the file of
    /// `ClassFolders` gives.
    ///
    /// - Parameter endings: the file extensions of images, in lower case; nil for all files.
    /// - Throws: `FileError` when a folder cannot be listed or is empty, a file is outside the class folders, or the
    ///   name of a class is not UTF-8 or occurs twice.
    package init(folder: BytePath, endings: Set<String>? = nil) throws(FileError) {
        func failure(_ reason: String) -> FileError { FileError(path: folder, reason: reason) }
        let contents = try FolderContents(folder)
        let reading = InputReading(endings: endings)
        let strays = contents.files.filter(reading.takes).map { "\(BytePath($0))" }
        guard strays.isEmpty else {
            throw failure("expected a folder for each class, found \(LabelledImages.some(strays)) beside them")
        }
        guard !contents.folders.isEmpty else { throw failure("expected a folder for each class, found none") }
        let names = try ClassFolders.classes(in: folder)
        var classes: [String] = []
        var items: [Item] = []
        for name in contents.folders.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let path = folder.appending(name)
            let folderName = String(validating: name, as: UTF8.self)
            guard let text = folderName.map({ names[$0] ?? ClassName.trimmed($0) }) else {
                throw FileError(path: path, reason: "a class is named by its folder, whose name must be UTF-8")
            }
            guard !text.isEmpty, !classes.contains(text) else {
                throw FileError(
                    path: path, reason: "the name of this class is \(text.isEmpty ? "empty" : "that of another folder")"
                )
            }
            let precedingItems = items.count
            var walk = FolderWalk(path)
            var file: [UInt8] = []
            while let input = walk.next(into: &file) {
                if case .unreadable(let reason) = input {
                    throw FileError(path: BytePath(file), reason: reason)
                }
                guard reading.takes(file) else { continue }
                items.append(Item(path: BytePath(file), class: classes.count))
            }
            guard items.count > precedingItems else { throw FileError(path: path, reason: "the class has no images") }
            classes.append(text)
        }
        let warning = ClassName.warning(of: classes).map { [Warning("\(folder): \($0)")] }
        self.init(source: folder, classes: classes, items: items, notes: warning ?? [])
    }

    /// The same images, with class indices into another list of class names.
    ///
    /// - Throws: `FileError` naming the classes that are not in that list.
    package func indexed(by others: [String]) throws(FileError) -> LabelledImages {
        let indices = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let unknown = classes.filter { indices[$0] == nil }
        guard unknown.isEmpty else {
            throw FileError(path: source, reason: "classes that are not known: \(LabelledImages.some(unknown))")
        }
        let newIndices = classes.map { indices[$0] ?? 0 }
        return LabelledImages(
            source: source, classes: others, items: items.map { Item(path: $0.path, class: newIndices[$0.class]) },
            notes: notes)
    }

    /// The first three names and the number of the others, for a message.
    package static func some(_ names: [String]) -> String {
        let list = names.prefix(3).joined(separator: ", ")
        return names.count > 3 ? "\(list) and \(names.count - 3) more" : list
    }
}

extension ClassName {
    /// A warning about names that differ only by case, spaces or forms of letters; nil if there are none.
    static func warning(of classes: [String]) -> String? {
        let descriptions = variants(among: classes).map { names in
            names.map { "\"\($0)\"" }.joined(separator: " and ")
        }
        guard !descriptions.isEmpty else { return nil }
        return "classes that differ by case, spaces or the form of letters alone: \(LabelledImages.some(descriptions))"
    }
}
