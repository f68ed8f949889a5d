package import Files
import VisionTransformers

/// A table of images and their labels: a CSV or TSV written by a person, another program, or `label`.
///
/// Quoting follows RFC 4180. The separator is whichever of comma, semicolon and tab comes first in the header.
/// `TableColumns` finds the columns by name; others are ignored. Labels are trimmed of white space.
package struct LabelledTable: Sendable {
    /// One image.
    package struct Row: Sendable {
        package var path: BytePath
        /// The label; several labels as in the cell; several values joined by commas.
        package let label: String
        /// The values, if images have values rather than labels.
        package let values: [Double]
        /// The split of the image, if the table has splits.
        package let split: DataSplit?
        package let line: Int
    }

    /// The file.
    package let path: BytePath
    /// The images with a label, in the order of the table.
    private(set) var rows: [Row]
    /// Notes for the user on how the table was read, one sentence each.
    package private(set) var notes: [Warning] = []

    /// The size in bytes above which a table is refused.
    private static let maximumSize = 1 << 30

    /// Reads a table.
    ///
    /// - Throws: `FileError` when the table is damaged, lacks a column, has no rows, an empty path, an empty label that
    ///   no status explains, a label that is not UTF-8, a path with two labels, or names files that do not exist.
    package init(_ table: BytePath, _ reading: LabelledReading = LabelledReading()) throws(FileError) {
        path = table
        rows = []
        func failure(_ reason: String) -> FileError { FileError(path: table, reason: reason) }
        var cells = DelimitedReader(try LabelledTable.content(of: table))
        let header = try cells.next(table)?.cells.map { String(decoding: $0, as: UTF8.self) } ?? []
        let columns = try TableColumns(header, reading, table: table)
        var content: [(cells: [[UInt8]], line: Int)] = []
        var (failed, empty) = (0, 0)
        while let row = try cells.next(table) {
            guard row.cells.contains(where: { !$0.isEmpty }) else { continue }
            guard row.cells.count == header.count else {
                throw failure(
                    "line \(row.line): expected \(header.count) cell\(header.count == 1 ? "" : "s"), "
                        + "found \(row.cells.count)"
                )
            }
            if let status = columns.status, row.cells[status].starts(with: "error".utf8) {
                failed += 1
                continue
            }
            if let (task, rank) = columns.longLayout {
                guard row.cells[task].elementsEqual((reading.task ?? "").utf8), row.cells[rank] == [UInt8(ascii: "1")]
                else { continue }
            }
            if columns.allowsEmptyLabels, reading.labelSeparator == nil,
                LabelledTable.text(row.cells[columns.label])?.isEmpty == true
            {
                empty += 1
                continue
            }
            content.append(row)
        }
        guard columns.longLayout == nil || !content.isEmpty || failed + empty > 0 else {
            throw failure("no row has predictions of the task \"\(reading.task ?? "")\"")
        }
        let split = try LabelledTable.splitColumn(columns, header, content, table)
        for row in content { rows.append(try LabelledTable.row(row, columns, split, table, reading)) }
        let omissions = [(failed, "with an error"), (empty, "without a label")].filter { $0.0 > 0 }
        let omissionText = omissions.map { "\($0.0) \($0.1)" }.joined(separator: " and ")
        guard !rows.isEmpty else {
            throw failure(omissions.isEmpty ? "the table has no rows" : "no row has a label: \(omissionText)")
        }
        if !omissions.isEmpty { notes.append("\(table): left out rows: \(omissionText)") }
        try resolvePaths(reading)
        if reading.labelSeparator == nil { try checkLabels() }
    }

    /// Whether a path is a file, which is then read as a table of labelled images.
    package static func isTable(_ path: BytePath) -> Bool {
        if case .success(let status) = FileStatus.of(path) { !status.isFolder } else { false }
    }

    /// The labelled images of some splits, and the rows without a split; nil for all.
    package func images(_ splits: Set<DataSplit>? = nil) -> LabelledImages {
        let selection = rows(of: splits)
        let classes = Set(selection.map(\.label)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let indices = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        return LabelledImages(
            source: path, classes: classes,
            items: selection.map { .init(path: $0.path, class: indices[$0.label] ?? 0) },
            notes: notes + (ClassName.warning(of: classes).map { ["\(path): \($0)"] } ?? []))
    }

    /// The rows of some splits, and those without a split; nil for all.
    func rows(of splits: Set<DataSplit>?) -> [Row] {
        splits == nil ? rows : rows.filter { row in row.split.map { splits?.contains($0) == true } ?? true }
    }

    /// The split on which a model is measured, and a note if the table has others; nil for a table without splits.
    var measuredSplit: (split: DataSplit, note: Warning?)? {
        let candidates = [DataSplit.test, .validation, .training].filter(splits.contains)
        return candidates.first.map {
            ($0, candidates.count > 1 ? "\(path): only its \($0.rawValue) images are measured on" : nil)
        }
    }

    /// The splits of the table's images; empty for a table without splits.
    package var splits: Set<DataSplit> { Set(rows.compactMap(\.split)) }

    private static func row(
        _ row: (cells: [[UInt8]], line: Int), _ columns: TableColumns, _ split: Int?, _ table: BytePath,
        _ reading: LabelledReading
    ) throws(FileError) -> Row {
        func failure(_ reason: String) -> FileError {
            FileError(path: table, reason: "line \(row.line): \(reason)")
        }
        let name = row.cells[columns.path]
        guard !name.isEmpty, !name.contains(0) else { throw failure("the path is empty or contains a NUL byte") }
        var texts: [String] = []
        for column in columns.values.isEmpty ? [columns.label] : columns.values {
            guard let text = text(row.cells[column]) else { throw failure("the label is not UTF-8") }
            texts.append(text)
        }
        var values: [Double] = []
        for text in texts where !columns.values.isEmpty {
            guard let value = Double(text), value.isFinite else {
                throw failure("expected a number, found \"\(text)\"")
            }
            values.append(value)
        }
        let label = texts.joined(separator: ", ")
        guard !label.isEmpty || reading.labelSeparator != nil else { throw failure("the label is empty") }
        return Row(
            path: BytePath(name), label: label, values: values,
            split: split.flatMap { LabelledTable.split(row.cells[$0]) },
            line: row.line)
    }

    /// A cell as trimmed text; nil if it is not UTF-8.
    private static func text(_ cell: [UInt8]) -> String? {
        String(validating: cell, as: UTF8.self).map(ClassName.trimmed)
    }

    /// The split named by a cell.
    private static func split(_ cell: [UInt8]) -> DataSplit? { text(cell).flatMap { DataSplit(name: $0) } }

    private static func content(of table: BytePath) throws(FileError) -> [UInt8] {
        var reader = FileReader(limit: maximumSize)
        var content: [UInt8] = []
        do { try reader.read(table) { content = Array($0) } } catch {
            throw FileError(path: table, reason: "\(error)")
        }
        return content
    }

    /// The column of the images' splits: one with such a name, or one whose cells are all names of splits, not all the
    /// same.
    ///
    /// - Throws: `FileError` when a column with such a name has another cell.
    private static func splitColumn(
        _ columns: TableColumns, _ header: [String], _ rows: [(cells: [[UInt8]], line: Int)], _ table: BytePath
    ) throws(FileError) -> Int? {
        for column in columns.splits where !rows.isEmpty {
            let isNamed = TableColumns.isSplitColumn(header[column])
            let exception = rows.first { split($0.cells[column]) == nil }
            guard let exception else {
                let splits = Set(rows.compactMap { split($0.cells[column]) })
                if isNamed || splits.count > 1 { return column }
                continue
            }
            if isNamed {
                throw FileError(
                    path: table,
                    reason:
                        "line \(exception.line): the \(header[column]) \"\(text(exception.cells[column]) ?? "")\" "
                        + "is none of train, val and test")
            }
        }
        return nil
    }

    /// Checks that no image has two different labels.
    private func checkLabels() throws(FileError) {
        var first: [BytePath: Row] = [:]
        for row in rows {
            guard let other = first.updateValue(row, forKey: row.path), other.label != row.label else { continue }
            throw FileError(
                path: path,
                reason:
                    "line \(row.line): \(row.path) is \"\(row.label)\" here and \"\(other.label)\" "
                    + "on line \(other.line)"
            )
        }
    }
}

// MARK: The paths of the images

extension LabelledTable {
    /// Resolves relative paths: against the folder of the settings, else against the table's folder; or against the
    /// current folder, if none of the files exists in the former but some do in the latter.
    private mutating func resolvePaths(_ reading: LabelledReading) throws(FileError) {
        let hasFolder = path.bytes.contains(slash)
        let tableFolder: BytePath? = hasFolder ? path.parent : nil
        var folders = reading.root.map { [Optional($0)] } ?? [tableFolder]
        if reading.root == nil, hasFolder { folders.append(nil) }
        let candidates = folders.map { folder in rows.map { LabelledTable.path($0.path, in: folder) } }
        let missing = candidates.map { paths in paths.filter { (try? FileStatus.of($0).get().isFolder) != false } }
        let choice = missing.count > 1 && missing[0].count == rows.count && missing[1].count < rows.count ? 1 : 0
        for index in rows.indices { rows[index].path = candidates[choice][index] }
        if choice == 1 { notes.append("\(path): its paths are taken from the current folder") }
        guard reading.needsFiles, !missing[choice].isEmpty else { return }
        let folder = reading.root ?? tableFolder
        let folderNote =
            choice == 0 && folders.count > 1 ? "; looked in \(folder ?? path) and in the current folder" : ""
        throw FileError(
            path: path,
            reason: "\(missing[choice].count) of \(rows.count) files are not there: "
                + "\(LabelledImages.some(missing[choice].map(\.description)))\(folderNote)",
            remedy: reading.root == nil ? TableRemedy.giveRoot : nil)
    }

    private static func path(_ name: BytePath, in folder: BytePath?) -> BytePath {
        name.bytes.first == slash ? name : folder?.appending(name.bytes) ?? name
    }
}

/// What can be done about a table that cannot be used.
package enum TableRemedy: Remedy {
    /// Give a CSV, which `label` writes in another format.
    case labelToCSV
    /// Name the column of the paths.
    case namePathColumn
    /// Name the column of the labels.
    case nameLabelColumn
    /// Name the columns of the paths and of the labels.
    case nameColumns
    /// Do not name a column of the labels.
    case omitLabelColumn
    /// Give the folder of the table's relative paths.
    case giveRoot
    /// Name another separator of the labels in a cell.
    case nameLabelSeparator
}

/// How folders and tables of labelled images are read.
package struct LabelledReading: Sendable, Equatable {
    /// The task of the labels, which is the name of their column in a table written by `label`.
    package var task: String?
    /// The column of a table with the paths; nil for one of the usual names.
    package var pathColumn: String?
    /// The column of a table with the labels; nil for the task's name or one of the usual names.
    package var labelColumn: String?
    /// The folder of the relative paths of a table; nil for the table's own, or the current one if no file is in that.
    package var root: BytePath?
    /// Whether the files that a table names must exist.
    package var needsFiles = true
    /// The file extensions, in lower case and without a dot, of images in folders; nil for all files.
    package var endings: Set<String>?

    /// The separator of the labels in a cell, if an image may have several; nil if it has one.
    package var labelSeparator: String?
    /// If images have values rather than labels, the possible column names of each value; empty for labels.
    var valueColumns: [[String]] = []

    /// The files must exist, and may have any extension.
    package init(task: String? = nil) { self.task = task }
}
