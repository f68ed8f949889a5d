/// Images with the class that each shows: what training learns from and evaluation compares with.
public struct LabelledImages: Sendable, Equatable {
    /// One image.
    public struct Item: Sendable, Hashable {
        /// The image's file.
        public let path: BytePath
        /// The place of its class in `classes`.
        public let `class`: Int

        /// An image of a class.
        public init(path: BytePath, class: Int) { (self.path, self.class) = (path, `class`) }
    }

    /// The folder or table that names them.
    public let source: BytePath
    /// The class names; in byte order as they are read.
    public let classes: [String]
    /// The images: of a folder by class and then in byte order of their paths, of a table in its order.
    public let items: [Item]

    /// Images from their parts. The caller guarantees that every item's class is among the classes.
    public init(source: BytePath, classes: [String], items: [Item]) {
        (self.source, self.classes, self.items) = (source, classes, items)
    }

    /// Reads a folder of class folders, or a table of paths and labels (see `init(table:)`), as the path leads to one or the
    /// other.
    ///
    /// - Parameter needsFiles: whether the files that a table names have to be there.
    /// - Throws: `LabellingError.labelledImages` as the two do.
    public init(_ path: BytePath, needsFiles: Bool = true) throws(LabellingError) {
        switch FileStatus.of(path) {
        case .failure(let error): throw .labelledImages(path: path, reason: "\(error)")
        case .success(let status):
            self = status.isFolder ? try .init(folder: path) : try .init(table: path, needsFiles: needsFiles)
        }
    }

    /// Reads the images that a model is measured on: as `init(_:needsFiles:)` does, but never those of several splits.
    ///
    /// - Throws: `LabellingError.labelledImages` also for a folder that is divided into splits, with the one that may be meant.
    public init(measuredOn path: BytePath, needsFiles: Bool = true) throws(LabellingError) {
        if let splits = try SplitFolder(path, classesAreKnown: true) {
            let meant = splits.folder(.test) ?? splits.folder(.validation) ?? splits.folder(.training)
            throw .labelledImages(path: path, reason: "is divided into \(splits): did you mean \(meant ?? path)?")
        }
        try self.init(path, needsFiles: needsFiles)
    }

    /// Reads `FOLDER/<class>/...`: every folder is a class, all files below it are its images; hidden entries are left out.
    ///
    /// - Throws: `LabellingError.labelledImages` when a folder cannot be listed or holds nothing, a file stands outside the
    ///   class folders, or a class's name is not UTF-8.
    public init(folder: BytePath) throws(LabellingError) {
        func failure(_ reason: String) -> LabellingError { .labelledImages(path: folder, reason: reason) }
        let contents = try FolderContents(folder)
        guard contents.files.isEmpty else {
            let strays = contents.files.map { "\(BytePath($0))" }
            throw failure("expected a folder for each class, found \(LabelledImages.some(strays)) beside them")
        }
        guard !contents.folders.isEmpty else { throw failure("expected a folder for each class, found none") }
        var classes: [String] = []
        var items: [Item] = []
        for name in contents.folders.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let path = folder.appending(name)
            guard let text = String(validating: name, as: UTF8.self) else {
                throw .labelledImages(path: path, reason: "a class is named by its folder, whose name must be UTF-8")
            }
            let before = items.count
            var walk = FolderWalk(path)
            var file: [UInt8] = []
            while let input = walk.next(into: &file) {
                if case .unreadable(let reason) = input {
                    throw .labelledImages(path: BytePath(file), reason: reason)
                }
                items.append(Item(path: BytePath(file), class: classes.count))
            }
            guard items.count > before else { throw .labelledImages(path: path, reason: "the class has no images") }
            classes.append(text)
        }
        self.init(source: folder, classes: classes, items: items)
    }

    /// The same images with the places of other class names.
    ///
    /// - Throws: `LabellingError.labelledImages` naming the classes that are not among them.
    public func indexed(by others: [String]) throws(LabellingError) -> LabelledImages {
        let places = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let unknown = classes.filter { places[$0] == nil }
        guard unknown.isEmpty else {
            throw .labelledImages(
                path: source, reason: "classes that are not known: \(LabelledImages.some(unknown))")
        }
        let moved = classes.map { places[$0] ?? 0 }
        return LabelledImages(
            source: source, classes: others, items: items.map { Item(path: $0.path, class: moved[$0.class]) })
    }

    /// The first few names, and how many more there are.
    static func some(_ names: [String]) -> String {
        let shown = names.prefix(3).joined(separator: ", ")
        return names.count > 3 ? "\(shown) and \(names.count - 3) more" : shown
    }
}
