extension LabelledImages {
    /// The largest table that is read, in bytes.
    static let largestTable = 1 << 30

    /// Reads a CSV or TSV with the columns `path` and `label`, in either order, and one row an image.
    ///
    /// Quoting is that of RFC 4180; a header with a tab makes it a TSV. Paths are bytes, relative ones start at the table's
    /// folder. The classes are the labels, in byte order.
    ///
    /// - Parameter needsFiles: whether the files have to be there.
    /// - Throws: `LabellingError.labelledImages` when the table is damaged, has other columns, an empty path or label, a
    ///   label that is not UTF-8, one path with two labels, no rows, or names files that are not there.
    public init(table: BytePath, needsFiles: Bool = true) throws(LabellingError) {
        func failure(_ reason: String) -> LabellingError { .labelledImages(path: table, reason: reason) }
        var cells = DelimitedReader(try LabelledImages.content(of: table))
        let columns = try LabelledImages.columns(&cells, table)
        let hasFolder = table.bytes.contains(slash)
        var rows: [(path: BytePath, label: String)] = []
        var lines: [BytePath: (row: Int, line: Int)] = [:]
        while let row = try cells.next(table) {
            guard row.cells.count == 2 else {
                throw failure("line \(row.line): expected 2 cells, found \(row.cells.count)")
            }
            let (name, label) = (row.cells[columns.path], row.cells[columns.label])
            guard !name.isEmpty, !name.contains(0) else {
                throw failure("line \(row.line): the path is empty or holds a NUL")
            }
            guard !label.isEmpty else { throw failure("line \(row.line): the label is empty") }
            guard let text = String(validating: label, as: UTF8.self) else {
                throw failure("line \(row.line): the label is not UTF-8")
            }
            let path = name.first == slash || !hasFolder ? BytePath(name) : table.parent.appending(name)
            if let other = lines[path], rows[other.row].label != text {
                throw failure(
                    "line \(row.line): \(path) is \"\(text)\" here and \"\(rows[other.row].label)\" on line \(other.line)"
                )
            }
            lines[path] = (rows.count, row.line)
            rows.append((path, text))
        }
        guard !rows.isEmpty else { throw failure("the table has no rows") }
        let missing =
            !needsFiles
            ? [] : rows.filter { (try? FileStatus.of($0.path).get().isFolder) != false }.map(\.path.description)
        guard missing.isEmpty else {
            throw failure("\(missing.count) of \(rows.count) files are not there: \(LabelledImages.some(missing))")
        }
        let classes = Set(rows.map(\.label)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let places = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        self.init(
            source: table, classes: classes, items: rows.map { Item(path: $0.path, class: places[$0.label] ?? 0) })
    }

    private static func content(of table: BytePath) throws(LabellingError) -> [UInt8] {
        var reader = FileReader(limit: largestTable)
        var content: [UInt8] = []
        do { try reader.read(table) { content = Array($0) } } catch {
            throw .labelledImages(path: table, reason: "\(error)")
        }
        return content
    }

    /// The places of the two columns.
    private static func columns(
        _ cells: inout DelimitedReader, _ table: BytePath
    ) throws(LabellingError) -> (path: Int, label: Int) {
        let header = try cells.next(table)?.cells.map { String(decoding: $0, as: UTF8.self) } ?? []
        if let unknown = header.first(where: { $0 != "path" && $0 != "label" }) {
            throw .labelledImages(
                path: table, reason: "unknown column \"\(unknown)\"; expected a header with path and label")
        }
        guard header.count == 2, let path = header.firstIndex(of: "path"), let label = header.firstIndex(of: "label")
        else {
            throw .labelledImages(
                path: table,
                reason: "expected a header with path and label, found \"\(header.joined(separator: ","))\"")
        }
        return (path, label)
    }
}
