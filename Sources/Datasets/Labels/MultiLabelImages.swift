package import Files
import VisionTransformers

/// Images with any number of labels each, for multi-label training and evaluation.
package struct MultiLabelImages: Sendable, Equatable {
    /// The table that lists the images.
    package let source: BytePath
    /// The labels, in byte order.
    package let classes: [String]
    /// The distinct sets of labels, as ascending indices into `classes`, in the order of their first image.
    package let sets: [[Int]]
    /// The images in the order of the table; an item's `class` is the index of its set in `sets`.
    package let items: [LabelledImages.Item]
    /// Notes for the user on how the table was read, one sentence each.
    package let notes: [Warning]

    /// The separator of the labels in a cell, unless specified.
    package static let usualSeparator = "|"

    /// A row of a table: an image and the text of its label cell.
    package typealias Row = (path: BytePath, label: String, line: Int)

    /// Splits the label cells of a table. Labels are trimmed of white space. An image with several rows has the labels
    /// of all of them; one with an empty cell has none.
    ///
    /// - Throws: `FileError` when a label beside a separator is empty, an image has both an empty cell and labels, or
    ///   no row has a label.
    package init(source: BytePath, rows: [Row], separator: String, notes: [Warning] = []) throws(FileError) {
        func failure(_ reason: String) -> FileError { FileError(path: source, reason: reason) }
        var indices: [BytePath: Int] = [:]
        var images: [(path: BytePath, labels: Set<String>, line: Int)] = []
        for row in rows {
            guard let cell = Self.labels(row.label, separator: separator) else {
                throw failure("line \(row.line): \"\(row.label)\" has an empty label beside a \"\(separator)\"")
            }
            let labels = Set(cell)
            guard let index = indices[row.path] else {
                indices[row.path] = images.count
                images.append((row.path, labels, row.line))
                continue
            }
            guard labels.isEmpty == images[index].labels.isEmpty else {
                throw failure(
                    "line \(row.line): \(row.path) has \(labels.isEmpty ? "no label" : "labels") here and "
                        + "\(labels.isEmpty ? "labels" : "none") on line \(images[index].line)")
            }
            images[index].labels.formUnion(labels)
        }
        let names = images.reduce(into: Set<String>()) { $0.formUnion($1.labels) }
        let classes = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard !classes.isEmpty else { throw failure("not one row has a label") }
        let classIndices = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        self.init(
            source: source, classes: classes,
            notes: notes + (ClassName.warning(of: classes).map { ["\(source): \($0)"] } ?? [])
                + Self.warnings(of: images.map(\.labels), source: source, separator: separator),
            images: images.map { ($0.path, $0.labels.compactMap { classIndices[$0] }.sorted()) })
    }

    /// Images with the ascending indices of their labels. The caller guarantees that these are indices into `classes`.
    private init(
        source: BytePath, classes: [String], notes: [Warning], images: [(path: BytePath, labels: [Int])]
    ) {
        var setIndices: [[Int]: Int] = [:]
        var sets: [[Int]] = []
        items = images.map { path, labels in
            if setIndices[labels] == nil {
                setIndices[labels] = sets.count
                sets.append(labels)
            }
            return LabelledImages.Item(path: path, class: setIndices[labels] ?? 0)
        }
        (self.source, self.classes, self.sets, self.notes) = (source, classes, sets, notes)
    }

    /// Whether labels look like several joined by a separator: most contain it, or one consists of others.
    package static func areJoined(_ labels: [String], by separator: String) -> Bool {
        let labelSet = Set(labels)
        let joined = labels.filter { $0.contains(separator) }
        return 2 * joined.count > labels.count
            || joined.contains { Self.labels($0, separator: separator)?.allSatisfy(labelSet.contains) == true }
    }

    /// A warning if no cell contains the separator but labels seem to be joined by another one.
    private static func warnings(of images: [Set<String>], source: BytePath, separator: String) -> [Warning] {
        guard images.allSatisfy({ $0.count < 2 }) else { return [] }
        let labels = images.compactMap(\.first)
        let other = ["|", ",", ";"].first { text in
            text != separator && areJoined(labels, by: text)
        }
        return other.map {
            [
                Warning(
                    "\(source): no label cell contains the separator \"\(separator)\", but some contain \"\($0)\"",
                    remedy: TableRemedy.nameLabelSeparator)
            ]
        } ?? []
    }

    /// The trimmed labels of a cell; none for an empty cell, nil when one of several is empty.
    package static func labels(_ cell: String, separator: String) -> [String]? {
        let parts = cell.split(separator: separator, omittingEmptySubsequences: false).map {
            ClassName.trimmed(String($0))
        }
        if parts.count == 1 { return parts[0].isEmpty ? [] : parts }
        return parts.contains("") ? nil : parts
    }

    /// The labels of an image, as ascending indices into `classes`.
    package func labels(of item: LabelledImages.Item) -> [Int] { sets[item.class] }

    /// The number of images with each label.
    package var counts: [Int] {
        items.reduce(into: [Int](repeating: 0, count: classes.count)) { counts, item in
            for label in sets[item.class] { counts[label] += 1 }
        }
    }

    /// The same images, with label indices into another list of names; labels that are not in it are dropped.
    package func indexed(by others: [String]) -> MultiLabelImages {
        let indices = Dictionary(others.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return MultiLabelImages(
            source: source, classes: others, notes: notes,
            images: items.map { item in
                (item.path, sets[item.class].compactMap { indices[classes[$0]] }.sorted())
            })
    }
}

extension MultiLabelImages {
    /// Reads the images of a table on which a model is measured: those of one split, if the table has splits.
    ///
    /// - Parameter separator: the separator of the labels in a cell.
    /// - Throws: `FileError` as `LabelledTable` does, for a folder, and for cells that cannot be split.
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

    /// The images of some splits, and those without a split, with any number of labels; nil for all.
    ///
    /// - Throws: `FileError` when there are none, or for cells that cannot be split.
    package func labels(
        _ splits: Set<DataSplit>?, separator: String, note: Warning? = nil
    ) throws(FileError) -> MultiLabelImages {
        let selection = rows(of: splits)
        guard !selection.isEmpty else {
            let names = (splits ?? []).map(\.rawValue).sorted().joined(separator: " or ")
            throw FileError(path: path, reason: "no row belongs to the \(names) images, which are needed here")
        }
        return try MultiLabelImages(
            source: path, rows: selection.map { ($0.path, $0.label, $0.line) }, separator: separator,
            notes: notes + [note].compactMap(\.self))
    }

    /// Refuses a folder where only a table has the labels or values.
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
