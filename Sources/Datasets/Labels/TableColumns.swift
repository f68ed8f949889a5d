import Files

/// Which columns of a table of labelled images hold what.
struct TableColumns {
    /// The place of the images' paths.
    let path: Int
    /// The place of the labels, or of the first value.
    let label: Int
    /// The places of the values, where images have values rather than labels.
    let values: [Int]
    /// The place of what `label` says came of an image; nil in other tables.
    let status: Int?
    /// The places of task and rank, if there is a row for each of an image's answers.
    let answer: (task: Int, rank: Int)?
    /// Places whose column says which split an image belongs to, if its cells do.
    let splits: [Int]
    /// Whether a row without a label is left out rather than an error: where a machine has written the table.
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
    /// Names count in any case and without white space around them; a column without a name, as pandas writes its
    /// index, is like any other that is not looked for.
    ///
    /// - Throws: `FileError` naming what is missing, or stands twice.
    init(_ header: [String], _ reading: LabelledReading, table: BytePath) throws(FileError) {
        let names = header.map(ClassName.trimmed)
        let lower = names.map { $0.lowercased() }
        func failure(_ reason: String) -> FileError { FileError(path: table, reason: reason) }
        guard !header.joined().unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0xFFFD }) else {
            throw failure("is no table: expected CSV or TSV, whose first line names the columns")
        }
        guard header.first?.hasPrefix("{") != true else {
            throw failure("JSON Lines are not read here: expected CSV or TSV (label --format csv)")
        }
        func named(_ name: String, _ option: String) throws(FileError) -> Int {
            let exact = names.indices.filter { names[$0] == name }
            let found = exact.isEmpty ? names.indices.filter { lower[$0] == name.lowercased() } : exact
            guard found.count == 1 else {
                let count = found.isEmpty ? "has no column" : "has \(found.count) columns"
                throw failure("\(option): the table \(count) \"\(name)\"; its columns are \(TableColumns.list(names))")
            }
            return found[0]
        }
        func usual(_ usual: [String], _ what: String, _ option: String) throws(FileError) -> Int? {
            let first = lower.indices.filter { lower[$0] == usual[0] }
            let found = first.isEmpty ? lower.indices.filter { usual.contains(lower[$0]) } : first
            guard found.count < 2 else {
                let columns = TableColumns.list(found.map { names[$0] })
                throw failure("more than one column may have the \(what): \(columns); \(option) NAME chooses one")
            }
            return found.first
        }
        let place =
            if let column = reading.pathColumn { try named(column, "--path-column") } else {
                try usual(Self.pathNames, "paths", "--path-column")
            }
        let isOfAnswers = lower.starts(with: ["path", "status", "task", "rank", "label"])
        if reading.valueColumns.count > 1, let column = reading.labelColumn {
            throw failure("--label-column \(column): the \(reading.valueColumns.count) outputs have a column each")
        }
        var values: [Int] = []
        for candidates in reading.valueColumns where reading.labelColumn == nil {
            let found = names.indices.filter { candidates.contains(names[$0]) }
            guard found.count == 1 else {
                throw failure(
                    "expected one column of \(candidates.map { "\"\($0)\"" }.joined(separator: " or ")), found "
                        + "\(found.isEmpty ? TableColumns.list(names) : TableColumns.list(found.map { names[$0] }))"
                        + (reading.valueColumns.count == 1 ? "; --label-column NAME chooses one" : ""))
            }
            values += found
        }
        guard !isOfAnswers || (reading.valueColumns.isEmpty && reading.labelSeparator == nil) else {
            throw failure("has a row per answer: where an image has several labels or values, expected a row per image")
        }
        let label: Int?
        if let first = values.first {
            label = first
        } else if let column = reading.labelColumn {
            label = try named(column, "--label-column")
        } else {
            let own = isOfAnswers ? nil : reading.task.flatMap { task in names.firstIndex(of: task) }
            let other =
                try own == nil || lower.contains("label") ? usual(Self.labelNames, "labels", "--label-column") : nil
            if let own, let other, own != other {
                throw failure(
                    "the columns \"\(names[own])\" and \"\(names[other])\" may both have the labels of \(names[own]); "
                        + "--label-column NAME chooses one")
            }
            label = own ?? other
        }
        guard let place, let label, place != label else {
            let wanted = ["path", "label"] + (reading.task.map { ["or \($0)"] } ?? [])
            throw failure(
                "expected a header with the columns \(wanted.prefix(2).joined(separator: " and "))"
                    + "\(wanted.count > 2 ? " (or \(reading.task ?? ""))" : ""), found \(TableColumns.list(names)); "
                    + "--path-column and --label-column name others")
        }
        (path, self.label) = (place, label)
        self.values = values.isEmpty && !reading.valueColumns.isEmpty ? [label] : values
        status = lower.firstIndex(of: "status")
        answer = isOfAnswers && reading.labelColumn == nil ? (2, 3) : nil
        let others = names.indices.filter { $0 != place && $0 != label && !values.contains($0) }
        splits =
            others.filter { Self.splitNames.contains(lower[$0]) }
            + others.filter { !Self.splitNames.contains(lower[$0]) }
    }

    /// Whether a column is about splits by its name, so that each of its cells must be one.
    static func isAboutSplits(_ name: String) -> Bool { splitNames.contains(ClassName.trimmed(name).lowercased()) }

    private static func list(_ names: [String]) -> String {
        let text = names.joined(separator: ",")
        return text.count > 200 ? "\"\(text.prefix(200))...\"" : "\"\(text)\""
    }
}
