package import Datasets
package import Files

/// Reads the rows that `label` wrote, one at a time: CSV, TSV or JSON Lines, wide or long (docs/csv-format.md).
///
/// Columns are found by their names, so a table may come from a spreadsheet that has added or moved columns. Memory
/// does not depend on the number of rows.
package struct LabelFile {
    /// A task of the file.
    package struct Task: Sendable, Equatable {
        package let name: String
        /// Whether its answers are values rather than labels.
        package internal(set) var isValues = false
    }

    private let file: RecordFile
    private let separator: String
    private let form: Form
    /// The tasks so far: of a wide table all, else those of the rows that were read.
    package private(set) var tasks: [Task] = []
    private var indexByTask: [String: Int] = [:]
    private var wide: WideColumns?

    private enum Form {
        case wide
        /// The indices of path, status, task, rank, label and score.
        case long([Int], score: Int?, fit: Int?, cells: Int)
        case jsonLines
    }

    /// Opens a file and reads its header.
    ///
    /// - Parameter separator: separates the labels of a cell.
    /// - Throws: `FileError` when the file cannot be read, or lacks the columns that `label` writes.
    package init(_ path: BytePath, separator: String = MultiLabelImages.usualSeparator) throws(FileError) {
        file = try RecordFile(path)
        self.separator = separator
        guard case .delimited(let delimiter) = file.kind else {
            form = .jsonLines
            return
        }
        guard let record = try file.next() else { throw FileError(path: path, reason: "the file is empty") }
        var reader = DelimitedReader(row: record.bytes, delimiter: delimiter, line: record.line)
        let header = try reader.next(path)?.cells.map { String(decoding: $0, as: UTF8.self) } ?? []
        guard !header.joined().unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0xFFFD }) else {
            throw FileError(path: path, reason: "is not a table that label wrote")
        }
        func index(_ name: String) -> Int? { header.firstIndex(of: name) }
        guard let pathColumn = index("path"), let status = index("status"), Set(header).count == header.count else {
            throw FileError(
                path: path,
                reason: "expected the columns path,status,... that label writes, each once, found "
                    + "\"\(Self.shortened(header.joined(separator: ",")))\"")
        }
        if let task = index("task"), let rank = index("rank"), let label = index("label") {
            form = .long(
                [pathColumn, status, task, rank, label], score: index("score"), fit: index("fit"), cells: header.count)
        } else {
            form = .wide
            let columns = WideColumns(header, path: pathColumn, status: status)
            guard !columns.tasks.isEmpty else {
                throw FileError(
                    path: path,
                    reason: "has no column of a task: \"\(Self.shortened(header.joined(separator: ",")))\"")
            }
            wide = columns
            for column in columns.tasks { _ = self.task(column.name, isValues: column.isValues) }
        }
    }

    /// Columns of a wide table that are not of a task, as far as the rows so far show.
    package var ignoredColumns: [String] { wide?.ignored ?? [] }

    /// A warning if the last line, which was read, has no line end: the file may have been cut.
    package var cutWarning: Warning? {
        file.endsInLineEnd
            ? nil : "\(file.path): the last line does not end in a line end; if the file was cut, rows are missing"
    }

    /// Checks that there is a task. Of all but wide tables, tasks are known only after the last row.
    ///
    /// - Throws: `UnknownTask` when there is none of that name.
    package func checkTask(_ name: String) throws(UnknownTask) {
        guard indexByTask[name] == nil || ignoredColumns.contains(name) else { return }
        throw UnknownTask(
            name, tasks: tasks.map(\.name).filter { !ignoredColumns.contains($0) }, in: "\(file.path)")
    }

    /// The next row; nil at the end. A row of a long table has one answer.
    ///
    /// - Throws: `FileError` naming the line that `label` does not write.
    package mutating func next() throws(FileError) -> LabelRow? {
        guard let record = try file.next() else { return nil }
        switch form {
        case .jsonLines: return try jsonRow(record)
        case .wide: return try wideRow(try cells(record, count: wide?.count ?? 0), record.line)
        case .long(let columns, let score, let fit, let count):
            return try longRow(try cells(record, count: count), record.line, columns, score, fit)
        }
    }

    private func cells(_ record: (bytes: [UInt8], line: Int), count: Int) throws(FileError) -> [[UInt8]] {
        guard case .delimited(let delimiter) = file.kind else { return [] }
        var reader = DelimitedReader(row: record.bytes, delimiter: delimiter, line: record.line)
        let cells = try reader.next(file.path)?.cells ?? []
        guard cells.count == count else {
            throw fault(record.line, "expected \(count) cells, found \(cells.count)\(cutHint)")
        }
        return cells
    }

    /// What may be the cause of a fault in the last line.
    var cutHint: String { file.endsInLineEnd ? "" : "; the file ends there without a line end, it may be cut" }

    func fault(_ line: Int, _ reason: String) -> FileError {
        FileError(path: file.path, reason: "line \(line): \(reason)")
    }

    private static func shortened(_ text: String) -> String { text.count > 200 ? "\(text.prefix(200))..." : text }

    mutating func task(_ name: String, isValues: Bool = false) -> Int {
        if let index = indexByTask[name] { return index }
        tasks.append(Task(name: name, isValues: isValues))
        indexByTask[name] = tasks.count - 1
        return tasks.count - 1
    }

    func status(_ text: String, _ line: Int) throws(FileError) -> RowStatus {
        guard let status = RowStatus(text) else {
            throw fault(line, "status \"\(Self.shortened(text))\" is not one that label writes\(cutHint)")
        }
        return status
    }

    func path(_ cell: [UInt8], _ line: Int) throws(FileError) -> BytePath {
        guard !cell.isEmpty, !cell.contains(0) else { throw fault(line, "the path is empty or contains a NUL byte") }
        return BytePath(cell)
    }

    func number(_ text: String, _ line: Int, _ what: String) throws(FileError) -> Double? {
        if text.isEmpty { return nil }
        guard let value = Double(text), value.isFinite else {
            throw fault(line, "expected a number as \(what), found \"\(Self.shortened(text))\"\(cutHint)")
        }
        return value
    }
}

// MARK: Wide tables

extension LabelFile {
    private mutating func wideRow(_ cells: [[UInt8]], _ line: Int) throws(FileError) -> LabelRow {
        guard var columns = wide else { return LabelRow(path: file.path, line: line) }
        let texts = cells.map { String(decoding: $0, as: UTF8.self) }
        let status = try status(texts[columns.status], line)
        var row = LabelRow(path: try path(cells[columns.path], line), line: line)
        if case .failed(let reason) = status {
            row.failure = reason
            return row
        }
        for index in columns.tasks.indices {
            let column = columns.tasks[index]
            if column.isValues {
                guard columns.settle(index, texts) else { continue }
                wide = columns
                tasks[index].isValues = columns.tasks[index].isValues
                if columns.tasks[index].isIgnored { continue }
            }
            if columns.tasks[index].isValues {
                var answer = LabelAnswer(task: index, withheld: status.reason(column.name))
                answer.fit = try fit(column, texts, line)
                for output in column.outputs {
                    guard let value = try number(texts[output.column], line, output.name) else { continue }
                    answer.labels.append(.init(name: output.name, score: value))
                }
                row.answers.append(answer)
            } else {
                row.answers.append(try labels(index, column, texts, status, line))
            }
        }
        return row
    }

    private func fit(_ column: WideColumns.Task, _ texts: [String], _ line: Int) throws(FileError) -> Double? {
        guard let place = column.fit else { return nil }
        return try number(texts[place], line, "the fit of \(column.name)")
    }

    private func labels(
        _ task: Int, _ column: WideColumns.Task, _ texts: [String], _ status: RowStatus, _ line: Int
    ) throws(FileError) -> LabelAnswer {
        var answer = LabelAnswer(task: task)
        answer.fit = try fit(column, texts, line)
        let (label, score) = (texts[column.label], column.score.map { texts[$0] } ?? "")
        let scores = score.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
        if label.isEmpty {
            answer.score = try number(score, line, "the score of \(column.name)")
            answer.withheld = status.reason(column.name) ?? (answer.score == nil ? nil : "below threshold")
            return answer
        }
        // Several scores in a cell are those of several labels.
        guard scores.count > 1 else {
            answer.score = try number(score, line, "the score of \(column.name)")
            answer.labels = [.init(name: label, score: answer.score)]
            return answer
        }
        let names = label.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
        guard names.count == scores.count else {
            throw fault(line, "\(column.name) has \(names.count) labels and \(scores.count) scores\(cutHint)")
        }
        for (name, score) in zip(names, scores) {
            answer.labels.append(.init(name: name, score: try number(score, line, "a score of \(column.name)")))
        }
        answer.score = answer.labels.first?.score
        return answer
    }
}

/// The columns of a wide table.
struct WideColumns {
    /// The columns of one task.
    struct Task {
        let name: String
        var label = 0
        var score: Int?
        var fit: Int?
        /// The columns of the outputs, if the task has values.
        var outputs: [(name: String, column: Int)] = []
        /// Whether the cells are values, which the first of them shows.
        var isValues = false
        /// Whether the first cell has shown what the column is.
        var isSettled = false
        var isIgnored = false
    }

    let path: Int
    let status: Int
    /// The number of columns.
    let count: Int
    private(set) var tasks: [Task] = []
    private let hasScores: Bool

    /// Finds the tasks: `<task>`, `<task>_score`, `<task>_fit`, `<task>_2` and `<task>:<class>`.
    init(_ header: [String], path: Int, status: Int) {
        (self.path, self.status, count) = (path, status, header.count)
        let index = Dictionary(uniqueKeysWithValues: header.enumerated().map { ($1, $0) })
        hasScores = header.contains { index["\($0)_score"] != nil }
        var outputs: [String: Int] = [:]
        let owners = Set(header.compactMap { name in name.firstIndex(of: ":").map { String(name[..<$0]) } })
        for (place, name) in header.enumerated() where place != path && place != status && !name.isEmpty {
            let isScored = index["\(name)_score"] != nil
            // The task that fits most is that of `best_task`.
            if name == "best_task", !isScored, index["best_task_fit"] == nil { continue }
            if let owner = Self.owner(of: name, index, owners) {
                guard let mark = name.firstIndex(of: ":"), index[owner] == nil else { continue }
                let output = (name: String(name[name.index(after: mark)...]), column: place)
                if let task = outputs[owner] {
                    tasks[task].outputs.append(output)
                } else {
                    outputs[owner] = tasks.count
                    tasks.append(Task(name: owner, fit: index["\(owner)_fit"], outputs: [output], isValues: true))
                }
                continue
            }
            // What a column without scores has, its first cell shows.
            tasks.append(
                Task(
                    name: name, label: place, score: index["\(name)_score"], fit: index["\(name)_fit"],
                    outputs: [(name, place)], isValues: !isScored))
        }
    }

    /// The names of columns that are not of a task.
    var ignored: [String] { tasks.filter(\.isIgnored).map(\.name) }

    /// Tells from a cell whether a column without scores has values, labels or something else; false while it is empty.
    mutating func settle(_ index: Int, _ texts: [String]) -> Bool {
        if tasks[index].isSettled { return true }
        guard let cell = tasks[index].outputs.map({ texts[$0.column] }).first(where: { !$0.isEmpty }) else {
            return false
        }
        tasks[index].isSettled = true
        // Values always have a point or an exponent; classes may have names such as 7.
        let isNumber = Double(cell) != nil && cell.contains { $0 == "." || $0 == "e" }
        if !isNumber, tasks[index].fit == nil, hasScores || tasks[index].outputs.count > 1 {
            tasks[index].isIgnored = true
        } else {
            tasks[index].isValues = isNumber
        }
        return true
    }

    /// The task that a column is about: `<task>_score`, `<task>_fit`, `<task>_2`, `<task>_2_score` or
    /// `<task>:<class>`; nil for a column of labels.
    private static func owner(of name: String, _ index: [String: Int], _ owners: Set<String>) -> String? {
        for suffix in ["_score", "_fit"] where name.hasSuffix(suffix) {
            let task = String(name.dropLast(suffix.count))
            if index[task] != nil || owners.contains(task) { return task }
        }
        // A further rank has no fit of its own.
        guard index["\(name)_fit"] == nil else { return nil }
        if let mark = name.firstIndex(of: ":"), mark != name.startIndex {
            return index["\(name)_score"] == nil ? String(name[..<mark]) : nil
        }
        guard let mark = name.lastIndex(of: "_"), let rank = Int(name[name.index(after: mark)...]), rank > 1 else {
            return nil
        }
        let task = String(name[..<mark])
        return index[task] != nil && (rank == 2 || index["\(task)_\(rank - 1)"] != nil) ? task : nil
    }
}
