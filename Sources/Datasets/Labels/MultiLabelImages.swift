package import Files

/// Images with any number of labels each: what multi-label training learns from, and what such tasks are evaluated on.
package struct MultiLabelImages: Sendable, Equatable {
    /// The table that names them.
    package let source: BytePath
    /// The labels, in byte order.
    package let classes: [String]
    /// The different sets of labels, by ascending places in `classes`, in the order in which the table has them.
    package let sets: [[Int]]
    /// The images in the order of the table; an item's `class` is the place of its set.
    package let items: [LabelledImages.Item]
    /// What a user ought to know of how they were read, a sentence each.
    package let notes: [String]

    /// What separates the labels of a cell unless specified.
    package static let usualSeparator = "|"

    /// A row of a table: an image and the text of its label cell.
    package typealias Row = (path: BytePath, label: String, line: Int)

    /// Takes the cells of a table apart. White space around a label does not count. An image with several rows has the
    /// labels of all of them; one with an empty cell has none.
    ///
    /// - Throws: `FileError` when nothing stands between two separators, an image has an empty cell
    ///   and another that is not, or no row has a label.
    package init(source: BytePath, rows: [Row], separator: String, notes: [String] = []) throws(FileError) {
        func failure(_ reason: String) -> FileError { FileError(path: source, reason: reason) }
        var places: [BytePath: Int] = [:]
        var images: [(path: BytePath, labels: Set<String>, line: Int)] = []
        for row in rows {
            guard let cell = Self.labels(row.label, separator: separator) else {
                throw failure("line \(row.line): \"\(row.label)\" has an empty label beside a \"\(separator)\"")
            }
            let labels = Set(cell)
            guard let place = places[row.path] else {
                places[row.path] = images.count
                images.append((row.path, labels, row.line))
                continue
            }
            guard labels.isEmpty == images[place].labels.isEmpty else {
                throw failure(
                    "line \(row.line): \(row.path) has \(labels.isEmpty ? "no label" : "labels") here and "
                        + "\(labels.isEmpty ? "labels" : "none") on line \(images[place].line)")
            }
            images[place].labels.formUnion(labels)
        }
        let names = images.reduce(into: Set<String>()) { $0.formUnion($1.labels) }
        let classes = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard !classes.isEmpty else { throw failure("not one row has a label") }
        let numbers = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        self.init(
            source: source, classes: classes,
            notes: notes + (ClassName.warning(of: classes).map { ["\(source): \($0)"] } ?? [])
                + Self.warnings(of: images.map(\.labels), source: source, separator: separator),
            images: images.map { ($0.path, $0.labels.compactMap { numbers[$0] }.sorted()) })
    }

    /// Images with the places of their labels, ascending. The caller guarantees that these are places in `classes`.
    private init(
        source: BytePath, classes: [String], notes: [String], images: [(path: BytePath, labels: [Int])]
    ) {
        var places: [[Int]: Int] = [:]
        var sets: [[Int]] = []
        items = images.map { path, labels in
            if places[labels] == nil {
                places[labels] = sets.count
                sets.append(labels)
            }
            return LabelledImages.Item(path: path, class: places[labels] ?? 0)
        }
        (self.source, self.classes, self.sets, self.notes) = (source, classes, sets, notes)
    }

    /// Whether labels look as if several of them were joined by a separator: most hold it, or one is made of others.
    package static func areJoined(_ labels: [String], by separator: String) -> Bool {
        let known = Set(labels)
        let joined = labels.filter { $0.contains(separator) }
        return 2 * joined.count > labels.count
            || joined.contains { Self.labels($0, separator: separator)?.allSatisfy(known.contains) == true }
    }

    /// A warning where no cell holds the separator but labels seem to be joined by another one.
    private static func warnings(of images: [Set<String>], source: BytePath, separator: String) -> [String] {
        guard images.allSatisfy({ $0.count < 2 }) else { return [] }
        let labels = images.compactMap(\.first)
        let other = ["|", ",", ";"].first { text in
            text != separator && areJoined(labels, by: text)
        }
        return other.map {
            [
                "\(source): no label cell holds the separator \"\(separator)\", but some hold \"\($0)\"; "
                    + "--label-separator names another separator"
            ]
        } ?? []
    }

    /// The labels of a cell, trimmed; none for an empty cell, nil when one of several is empty.
    package static func labels(_ cell: String, separator: String) -> [String]? {
        let parts = cell.split(separator: separator, omittingEmptySubsequences: false).map {
            ClassName.trimmed(String($0))
        }
        if parts.count == 1 { return parts[0].isEmpty ? [] : parts }
        return parts.contains("") ? nil : parts
    }

    /// The labels that an image of these has.
    package func labels(of item: LabelledImages.Item) -> [Int] { sets[item.class] }

    /// How many images have each label.
    package var counts: [Int] {
        items.reduce(into: [Int](repeating: 0, count: classes.count)) { counts, item in
            for label in sets[item.class] { counts[label] += 1 }
        }
    }

    /// The same images with the places of other names; labels that are not among them are dropped.
    package func indexed(by others: [String]) -> MultiLabelImages {
        let places = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return MultiLabelImages(
            source: source, classes: others, notes: notes,
            images: items.map { item in
                (item.path, sets[item.class].compactMap { places[classes[$0]] }.sorted())
            })
    }
}

extension MultiLabelImages {
    /// Reads the images of a table that a model is measured on: of one that tells splits apart those of one split.
    ///
    /// - Parameter separator: what separates the labels of a cell.
    /// - Throws: `FileError` as `LabelledTable` does, for a folder, and for cells that cannot be
    ///   taken apart.
    package init(
        measuredOn path: BytePath, _ reading: LabelledReading = LabelledReading(), separator: String
    ) throws(FileError) {
        let table = try LabelledTable(severalLabels: path, reading, separator: separator)
        let measured = table.measuredSplit
        self = try table.labels((measured?.split).map { [$0] }, separator: separator, note: measured?.note)
    }
}

extension LabelledTable {
    /// Reads a table whose cells have any number of labels.
    ///
    /// - Throws: `FileError` as `init(_:_:)` does, and for a folder.
    package init(
        severalLabels path: BytePath, _ reading: LabelledReading, separator: String
    ) throws(FileError) {
        try LabelledTable.refuseFolder(path, "where an image may have several labels", "label")
        var reading = reading
        reading.labelSeparator = separator
        self = try LabelledTable(path, reading)
    }

    /// The images of some splits with any number of labels; of a table that knows no splits all.
    ///
    /// - Throws: `FileError` when there are none, or for cells that cannot be taken apart.
    package func labels(
        _ splits: Set<DataSplit>?, separator: String, note: String? = nil
    ) throws(FileError) -> MultiLabelImages {
        let chosen = rows(of: splits)
        guard !chosen.isEmpty else {
            let names = (splits ?? []).map(\.rawValue).sorted().joined(separator: " or ")
            throw FileError(path: path, reason: "no row is of the \(names) images, which are wanted here")
        }
        return try MultiLabelImages(
            source: path, rows: chosen.map { ($0.path, $0.label, $0.line) }, separator: separator,
            notes: notes + [note].compactMap(\.self))
    }

    /// Refuses a folder where only a table says what is needed.
    static func refuseFolder(_ path: BytePath, _ occasion: String, _ column: String) throws(FileError) {
        switch FileStatus.of(path) {
        case .failure(let error): throw FileError(path: path, reason: "\(error)")
        case .success(let status) where status.isFolder:
            throw FileError(
                path: path,
                reason: "is a folder; \(occasion), expected a CSV or TSV with the columns path and \(column)")
        case .success: break
        }
    }
}
