import Files
import VisionTransformers

/// The columns of a table of labelled images.
struct TableColumns {
    /// The index of the column of paths.
    let path: Int
    /// The index of the column of labels, or of the first value.
    let label: Int
    /// The indices of the columns of values, if images have values rather than labels.
    let values: [Int]
    /// The index of the status column, which only tables written by `label` have.
    let status: Int?
    /// The indices of task and rank, if the table has one row per label of a task.
    let longLayout: (task: Int, rank: Int)?
    /// The indices of columns that may have the images' splits, those with such a name first.
    let splits: [Int]
    /// Whether a row without a label is left out rather than an error, as in a table written by `label`.
    var allowsEmptyLabels: Bool { status != nil }

    private static let pathNames = [
        "path", "file_name", "filename", "file", "filepath", "file_path", "image", "image_path", "img", "img_path",
        "image_file", "image_name",
    ]
    private static let labelNames = [
        "label", "class", "class_name", "classname", "label_name", "category", "target", "labels",
    ]
    private static let splitNames = ["split", "subset", "partition", "data_split", "dataset_split"]

    /// Finds the columns by a header.
    ///
    /// Names match in any case and are trimmed. Columns without a name, as the index of pandas, are ignored.
    ///
    /// - Throws: `FileError` naming the column that is missing or ambiguous.
    init(_ header: [String], _ reading: LabelledReading, table: BytePath) throws(FileError) {
        let names = header.map(ClassName.trimmed)
        let lower = names.map { $0.lowercased() }
        func failure(_ reason: String, _ remedy: TableRemedy? = nil) -> FileError {
            FileError(path: table, reason: reason, remedy: remedy)
        }
        guard !header.joined().unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0xFFFD }) else {
            throw failure("is not a table: expected CSV or TSV, whose first line names the columns")
        }
        guard header.first?.hasPrefix("{") != true else {
            throw failure("JSON Lines are not supported here: expected CSV or TSV", .labelToCSV)
        }
        func named(_ name: String, _ remedy: TableRemedy) throws(FileError) -> Int {
            let exact = names.indices.filter { names[$0] == name }
            let matches = exact.isEmpty ? names.indices.filter { lower[$0] == name.lowercased() } : exact
            guard matches.count == 1 else {
                let count = matches.isEmpty ? "has no column" : "has \(matches.count) columns"
                throw failure("the table \(count) \"\(name)\"; its columns are \(TableColumns.list(names))", remedy)
            }
            return matches[0]
        }
        func usual(_ usual: [String], _ what: String, _ remedy: TableRemedy) throws(FileError) -> Int? {
            let first = lower.indices.filter { lower[$0] == usual[0] }
            let matches = first.isEmpty ? lower.indices.filter { usual.contains(lower[$0]) } : first
            guard matches.count < 2 else {
                let columns = TableColumns.list(matches.map { names[$0] })
                throw failure("more than one column may have the \(what): \(columns)", remedy)
            }
            return matches.first
        }
        let pathIndex =
            if let column = reading.pathColumn { try named(column, .namePathColumn) } else {
                try usual(Self.pathNames, "paths", .namePathColumn)
            }
        let isLong = lower.starts(with: ["path", "status", "task", "rank", "label"])
        if reading.valueColumns.count > 1, let column = reading.labelColumn {
            throw failure(
                "\"\(column)\" cannot be the column of the labels: the \(reading.valueColumns.count) outputs have a "
                    + "column each", .omitLabelColumn)
        }
        var values: [Int] = []
        for candidates in reading.valueColumns where reading.labelColumn == nil {
            let matches = names.indices.filter { candidates.contains(names[$0]) }
            guard matches.count == 1 else {
                throw failure(
                    "expected one column of \(candidates.map { "\"\($0)\"" }.joined(separator: " or ")), found "
                        + "\(TableColumns.list(matches.isEmpty ? names : matches.map { names[$0] }))",
                    reading.valueColumns.count == 1 ? .nameLabelColumn : nil)
            }
            values += matches
        }
        guard !isLong || (reading.valueColumns.isEmpty && reading.labelSeparator == nil) else {
            throw failure("has one row per label: if an image has several labels or values, expected one row per image")
        }
        let labelIndex: Int?
        if let first = values.first {
            labelIndex = first
        } else if let column = reading.labelColumn {
            labelIndex = try named(column, .nameLabelColumn)
        } else {
            let taskColumn = isLong ? nil : reading.task.flatMap { task in names.firstIndex(of: task) }
            let labelColumn =
                try taskColumn == nil || lower.contains("label")
                ? usual(Self.labelNames, "labels", .nameLabelColumn) : nil
            if let taskColumn, let labelColumn, taskColumn != labelColumn {
                throw failure(
                    "the columns \"\(names[taskColumn])\" and \"\(names[labelColumn])\" may both have the labels of "
                        + "\(names[taskColumn])", .nameLabelColumn)
            }
            labelIndex = taskColumn ?? labelColumn
        }
        guard let pathIndex, let labelIndex, pathIndex != labelIndex else {
            let expected = ["path", "label"] + (reading.task.map { ["or \($0)"] } ?? [])
            throw failure(
                "expected a header with the columns \(expected.prefix(2).joined(separator: " and "))"
                    + "\(expected.count > 2 ? " (or \(reading.task ?? ""))" : ""), found \(TableColumns.list(names))",
                .nameColumns)
        }
        (path, label) = (pathIndex, labelIndex)
        self.values = values.isEmpty && !reading.valueColumns.isEmpty ? [labelIndex] : values
        status = lower.firstIndex(of: "status")
        longLayout = isLong && reading.labelColumn == nil ? (2, 3) : nil
        let others = names.indices.filter { $0 != pathIndex && $0 != labelIndex && !values.contains($0) }
        splits =
            others.filter { Self.splitNames.contains(lower[$0]) }
            + others.filter { !Self.splitNames.contains(lower[$0]) }
    }

    /// Whether a column's name says that it has splits, so that each of its cells must be one.
    static func isSplitColumn(_ name: String) -> Bool { splitNames.contains(ClassName.trimmed(name).lowercased()) }

    private static func list(_ names: [String]) -> String {
        let text = names.joined(separator: ",")
        return text.count > 200 ? "\"\(text.prefix(200))...\"" : "\"\(text)\""
    }
}
