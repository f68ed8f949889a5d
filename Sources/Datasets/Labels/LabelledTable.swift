package import Files

/// A table of images and their labels: a CSV or TSV that a person, a program, or `label` has written.
///
/// Quoting is that of RFC 4180; cells are separated by what comes first in the header of comma, semicolon and tab.
/// `TableColumns` has the names of columns; others are left aside. Labels have no white space at their ends.
package struct LabelledTable: Sendable {
    /// One image.
    package struct Row: Sendable {
        package var path: BytePath
        /// The label; several labels as the cell has them, or several values with commas between them.
        package let label: String
        /// The values, where images have values rather than labels.
        package let values: [Double]
        /// The split that the table says it belongs to.
        package let split: DataSplit?
        package let line: Int
    }

    /// The file.
    package let path: BytePath
    /// The images that have a label, in the order of the table.
    private(set) var rows: [Row]
    /// What a user ought to know of how it was read, a sentence each.
    package private(set) var notes: [String] = []

    /// The largest table that is read, in bytes.
    static let largestTable = 1 << 30

    /// Reads a table.
    ///
    /// - Throws: `FileError` when it is damaged, has not the columns, an empty path, an empty label that no status
    ///   explains, a label that is not UTF-8, one path with two labels, no rows, or names files that are not there.
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
                    "line \(row.line): expected \(header.count) cell\(header.count == 1 ? "" : "s"), found \(row.cells.count)"
                )
            }
            if let status = columns.status, row.cells[status].starts(with: "error".utf8) {
                failed += 1
                continue
            }
            if let (task, rank) = columns.answer {
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
        guard columns.answer == nil || !content.isEmpty || failed + empty > 0 else {
            throw failure("no row is about the task \"\(reading.task ?? "")\"")
        }
        let split = try LabelledTable.splitColumn(columns, header, content, table)
        for row in content { rows.append(try LabelledTable.row(row, columns, split, table, reading)) }
        let left = [(failed, "with an error"), (empty, "without a label")].filter { $0.0 > 0 }
        let leftOut = left.map { "\($0.0) \($0.1)" }.joined(separator: " and ")
        guard !rows.isEmpty else {
            throw failure(left.isEmpty ? "the table has no rows" : "no row has a label: \(leftOut)")
        }
        if !left.isEmpty { notes.append("\(table): left out rows: \(leftOut)") }
        try place(reading)
        if reading.labelSeparator == nil { try checkLabels() }
    }

    /// Whether a path is a file, which is read as a table where labelled images are wanted.
    package static func isTable(_ path: BytePath) -> Bool {
        if case .success(let status) = FileStatus.of(path) { !status.isFolder } else { false }
    }

    /// The labelled images of some splits; of a table that knows no splits all.
    package func images(_ splits: Set<DataSplit>? = nil) -> LabelledImages {
        let chosen = rows(of: splits)
        let classes = Set(chosen.map(\.label)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let places = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        return LabelledImages(
            source: path, classes: classes, items: chosen.map { .init(path: $0.path, class: places[$0.label] ?? 0) },
            notes: notes + (ClassName.warning(of: classes).map { ["\(path): \($0)"] } ?? []))
    }

    /// The rows of some splits; of a table that knows no splits all.
    package func rows(of splits: Set<DataSplit>?) -> [Row] {
        splits == nil ? rows : rows.filter { row in row.split.map { splits?.contains($0) == true } ?? true }
    }

    /// The split that a model is measured on, and a note if the table has others; nil for a table that knows no splits.
    var measuredSplit: (split: DataSplit, note: String?)? {
        let known = [DataSplit.test, .validation, .training].filter(splits.contains)
        return known.first.map {
            ($0, known.count > 1 ? "\(path): only its \($0.rawValue) images are measured on" : nil)
        }
    }

    /// The splits that the table tells its images apart by; empty when it does not.
    package var splits: Set<DataSplit> { Set(rows.compactMap(\.split)) }

    private static func row(
        _ row: (cells: [[UInt8]], line: Int), _ columns: TableColumns, _ split: Int?, _ table: BytePath,
        _ reading: LabelledReading
    ) throws(FileError) -> Row {
        func failure(_ reason: String) -> FileError {
            FileError(path: table, reason: "line \(row.line): \(reason)")
        }
        let name = row.cells[columns.path]
        guard !name.isEmpty, !name.contains(0) else { throw failure("the path is empty or holds a NUL") }
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

    /// A cell as text without white space at its ends; nil if it is not UTF-8.
    private static func text(_ cell: [UInt8]) -> String? {
        String(validating: cell, as: UTF8.self).map(ClassName.trimmed)
    }

    /// The split that a cell names.
    private static func split(_ cell: [UInt8]) -> DataSplit? { text(cell).flatMap { DataSplit(name: $0) } }

    private static func content(of table: BytePath) throws(FileError) -> [UInt8] {
        var reader = FileReader(limit: largestTable)
        var content: [UInt8] = []
        do { try reader.read(table) { content = Array($0) } } catch {
            throw FileError(path: table, reason: "\(error)")
        }
        return content
    }

    /// The column that says which split each image belongs to, by its name, or because its cells are names of several
    /// splits and nothing else.
    ///
    /// - Throws: `FileError` when it has such a name and other cells.
    private static func splitColumn(
        _ columns: TableColumns, _ header: [String], _ rows: [(cells: [[UInt8]], line: Int)], _ table: BytePath
    ) throws(FileError) -> Int? {
        for column in columns.splits where !rows.isEmpty {
            let isNamed = TableColumns.isAboutSplits(header[column])
            let odd = rows.first { split($0.cells[column]) == nil }
            guard let odd else {
                let kinds = Set(rows.compactMap { split($0.cells[column]) })
                if isNamed || kinds.count > 1 { return column }
                continue
            }
            if isNamed {
                throw FileError(
                    path: table,
                    reason:
                        "line \(odd.line): the \(header[column]) \"\(text(odd.cells[column]) ?? "")\" is none of train, val "
                        + "and test")
            }
        }
        return nil
    }

    /// Checks that no image has two labels.
    private func checkLabels() throws(FileError) {
        var first: [BytePath: Row] = [:]
        for row in rows {
            guard let other = first.updateValue(row, forKey: row.path), other.label != row.label else { continue }
            throw FileError(
                path: path,
                reason:
                    "line \(row.line): \(row.path) is \"\(row.label)\" here and \"\(other.label)\" on line \(other.line)"
            )
        }
    }
}

// MARK: Where the images are

extension LabelledTable {
    /// Finds the folder that relative paths start at: the one that was named; else the table's, or if not one file is
    /// there but some are in the current folder, that.
    private mutating func place(_ reading: LabelledReading) throws(FileError) {
        let hasFolder = path.bytes.contains(slash)
        let own: BytePath? = hasFolder ? path.parent : nil
        var places = reading.root.map { [Optional($0)] } ?? [own]
        if reading.root == nil, hasFolder { places.append(nil) }
        let found = places.map { place in rows.map { LabelledTable.path($0.path, in: place) } }
        let missing = found.map { paths in paths.filter { (try? FileStatus.of($0).get().isFolder) != false } }
        let chosen = missing.count > 1 && missing[0].count == rows.count && missing[1].count < rows.count ? 1 : 0
        for index in rows.indices { rows[index].path = found[chosen][index] }
        if chosen == 1 { notes.append("\(path): its paths are taken from the current folder") }
        guard reading.needsFiles, !missing[chosen].isEmpty else { return }
        let looked = reading.root ?? own
        let elsewhere = chosen == 0 && places.count > 1 ? "; looked in \(looked ?? path) and in the current folder" : ""
        throw FileError(
            path: path,
            reason: "\(missing[chosen].count) of \(rows.count) files are not there: "
                + "\(LabelledImages.some(missing[chosen].map(\.description)))\(elsewhere)"
                + (reading.root == nil ? " (--root DIR names the folder that paths start at)" : ""))
    }

    private static func path(_ name: BytePath, in folder: BytePath?) -> BytePath {
        name.bytes.first == slash ? name : folder?.appending(name.bytes) ?? name
    }
}

/// How folders and tables of labelled images are read.
package struct LabelledReading: Sendable, Equatable {
    /// The task that the labels are of: a table that `label` wrote has them in the column of this name.
    package var task: String?
    /// The column of a table with the paths; nil for one of the usual names.
    package var pathColumn: String?
    /// The column of a table with the labels; nil for the task's name or one of the usual names.
    package var labelColumn: String?
    /// The folder that relative paths of a table start at; nil for the table's own, or the current one if not one file
    /// is there.
    package var root: BytePath?
    /// Whether the files that a table names have to be there.
    package var needsFiles = true
    /// The endings, in lower case and without a dot, of the files of folders that are images; nil for all files.
    package var endings: Set<String>?

    /// What separates the labels of a cell where an image may have several; nil where it has one.
    package var labelSeparator: String?
    /// Where images have values rather than labels, for each of them the names that its column may have; empty for
    /// labels.
    var valueColumns: [[String]] = []

    /// Files are looked for, with any ending.
    package init(task: String? = nil) { self.task = task }
}
