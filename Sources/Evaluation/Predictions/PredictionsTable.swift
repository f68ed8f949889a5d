import Datasets
import Files
package import VisionTransformers

/// How to read a predictions file, which does not say what its columns are.
package struct PredictionsReading: Sendable {
    private let activations: [String: HeadActivation]
    private let tasks: Set<String>?
    /// Separates the labels of a cell.
    package let separator: String

    /// Settings for some tasks.
    ///
    /// - Parameters:
    ///   - tasks: the tasks to read; of others only the names are read. Nil for all.
    ///   - activations: the activations of heads by task; softmax for tasks that are not named.
    ///   - separator: separates the labels of a cell.
    package init(
        tasks: [String]? = nil, activations: [String: HeadActivation] = [:],
        separator: String = MultiLabelImages.usualSeparator
    ) {
        (self.tasks, self.activations, self.separator) = (tasks.map(Set.init), activations, separator)
    }

    /// Whether a task is to be read.
    package func reads(_ task: String) -> Bool { tasks?.contains(task) ?? true }

    /// Whether a task is named among those to be read.
    func names(_ task: String) -> Bool { tasks?.contains(task) ?? false }

    /// The activation of a task's head.
    package func activation(of task: String) -> HeadActivation { activations[task] ?? .softmax }

    /// Checks that a task has the columns of its activation.
    ///
    /// - Throws: `FileError` about `path`.
    func check(_ columns: PredictionsTable.Columns, _ path: BytePath) throws(FileError) {
        let (task, hasScores) = (columns.task, columns.scores.contains { $0 != nil })
        func fault(_ reason: String, _ remedy: PredictionsRemedy? = nil) -> FileError {
            FileError(path: path, reason: reason, remedy: remedy)
        }
        switch activation(of: task) {
        case .softmax:
            guard !columns.labels.isEmpty else {
                throw fault(
                    "\(task) has columns of values and none of labels", .readAs(.identity, task: task))
            }
        case .sigmoid:
            guard columns.labels.count == 1 else {
                throw fault("expected one column of labels of \(task), found \(columns.labels.count)")
            }
        case .identity:
            guard columns.labels.isEmpty || (columns.labels.count == 1 && !hasScores && columns.classes.isEmpty) else {
                throw fault("expected values of \(task), found columns of labels with scores")
            }
        }
    }
}

/// What can be done about predictions that cannot be used.
package enum PredictionsRemedy: Remedy {
    /// Read the predictions of the task as those of a head with this activation.
    case readAs(HeadActivation, task: String)
    /// Read the predictions of the task as those of a head with a sigmoid, if an image may have no label.
    case allowNoLabel(task: String)
    /// Label again and write the scores of all classes.
    case writeAllScores
}

/// The content of a CSV or TSV that `label` wrote, wide or long: see docs/csv-format.md.
struct PredictionsTable {
    /// The content of one row, or of the rows of one image, for one task.
    struct Entry: Equatable {
        /// The classes by rank, as far as the file has them; empty where the label was withheld. For a head with a
        /// sigmoid, the predicted labels; for one without activation, the named outputs.
        var labels: [String] = []
        /// Their scores; nil where there are none.
        var scores: [Double?] = []
        /// The scores of all classes, or the values of all outputs, in the order of their columns; empty without such
        /// columns.
        var everyScore: [Double] = []
    }

    /// The predictions of one task.
    struct Task {
        /// The task's name.
        let name: String
        /// The activation of its head.
        let activation: HeadActivation
        /// The classes or outputs that have a column each; empty without such columns.
        let classes: [String]
        /// By the image's normalized path.
        var entries: [BytePath: Entry] = [:]
    }

    /// The file.
    let path: BytePath
    /// Its tasks in the order of the columns or rows.
    private(set) var tasks: [Task]
    /// The images without predictions, and why.
    private(set) var failures: [BytePath: String] = [:]
    /// Whether the table is long: one row per image, task and rank.
    let isLong: Bool
    /// How the tasks are to be read.
    let reading: PredictionsReading

    /// The largest table that is read, in bytes.
    private static let largest = 1 << 32

    /// Reads a table.
    ///
    /// - Parameter folder: the folder that relative paths start from.
    /// - Throws: `FileError` naming the line that `label` does not write, or the task whose columns do not fit its
    ///   activation.
    init(_ path: BytePath, in folder: BytePath, reading: PredictionsReading) throws(FileError) {
        var content: [UInt8] = []
        var reader = FileReader(limit: PredictionsTable.largest)
        do { try reader.read(path) { content = Array($0) } } catch {
            throw FileError(path: path, reason: "\(error)")
        }
        var rows = DelimitedReader(content)
        content = []
        let all = try rows.next(path)?.cells.map { String(decoding: $0, as: UTF8.self) } ?? []
        let kept = Self.columnsOfPredictions(all, reading)
        let header = kept.map { all[$0] }
        guard header.starts(with: ["path", "status"]) else {
            throw FileError(
                path: path,
                reason: "expected the columns path,status,... that label writes, found "
                    + "\"\(LabelledImages.some(header))\"")
        }
        self.path = path
        self.reading = reading
        isLong = header.starts(with: ["path", "status", "task", "rank", "label"])
        tasks = []
        let columns = isLong ? [] : try PredictionsTable.columns(header, path)
        for columns in columns where reading.reads(columns.task) { try reading.check(columns, path) }
        tasks = columns.map {
            Task(name: $0.task, activation: reading.activation(of: $0.task), classes: $0.classes)
        }
        while let found = try rows.next(path) {
            guard found.cells.count == all.count else {
                throw fault(found.line, "expected \(all.count) cells, found \(found.cells.count)")
            }
            let row = (cells: kept.map { found.cells[$0] }, line: found.line)
            let image = BytePath(row.cells[0]).normalized(in: folder)
            let status = String(decoding: row.cells[1], as: UTF8.self)
            if let reason = PredictionsTable.reason(status) {
                failures[image] = reason
            } else if status != "ok", !status.hasPrefix("below threshold:"), !status.hasPrefix("below fit:") {
                throw fault(row.line, "status \"\(status)\" is not one that label writes")
            } else if isLong {
                try addPrediction(row, image)
            } else {
                try addImage(row, image, columns)
            }
        }
    }

    /// The columns but those that say how well images fit: `best_task`, and `<task>_fit` or in a long table `fit`.
    private static func columnsOfPredictions(_ header: [String], _ reading: PredictionsReading) -> [Int] {
        let isLong = header.contains("rank") && header.contains("task")
        let known = Set(header + header.compactMap { $0.split(separator: ":").first.map(String.init) })
        return header.indices.filter { index in
            let name = header[index]
            if reading.names(name) || known.contains("\(name)_score") { return true }
            if isLong { return !(name == "best_task" && index == 2 || name == "fit" && index > 4) }
            if name == "best_task", index == 2 { return false }
            return !(name.hasSuffix("_fit") && known.contains(String(name.dropLast("_fit".count))))
        }
    }

    private static func reason(_ status: String) -> String? {
        status.hasPrefix("error: ") ? String(status.dropFirst("error: ".count)) : nil
    }

    private func fault(_ line: Int, _ reason: String, _ remedy: PredictionsRemedy? = nil) -> FileError {
        FileError(path: path, reason: "line \(line): \(reason)", remedy: remedy)
    }

    // MARK: One row per image

    /// The columns of one task.
    struct Columns {
        let task: String
        var labels: [Int] = []
        /// The score column of each label, or nil.
        var scores: [Int?] = []
        var everyScore: [Int] = []
        var classes: [String] = []
    }

    private static func columns(_ header: [String], _ path: BytePath) throws(FileError) -> [Columns] {
        var found: [Columns] = []
        var next = 2
        func takes(_ name: String) -> Int? {
            guard next < header.count, header[next] == name else { return nil }
            next += 1
            return next - 1
        }
        while next < header.count {
            // A head of several outputs without activation has a column for each, and none for a label.
            let task = header[next].firstIndex(of: ":").map { String(header[next][..<$0]) } ?? header[next]
            var columns = Columns(task: task)
            if let label = takes(task) {
                columns.labels.append(label)
                columns.scores.append(takes("\(task)_score"))
            }
            while !columns.labels.isEmpty, let label = takes("\(task)_\(columns.labels.count + 1)") {
                columns.labels.append(label)
                columns.scores.append(takes("\(header[label])_score"))
            }
            while next < header.count, header[next].hasPrefix("\(task):") {
                columns.everyScore.append(next)
                columns.classes.append(String(header[next].dropFirst(task.count + 1)))
                next += 1
            }
            guard !task.isEmpty, Set(columns.classes).count == columns.classes.count,
                !found.contains(where: { $0.task == task })
            else { throw FileError(path: path, reason: "the column \"\(task)\" is empty or occurs twice") }
            found.append(columns)
        }
        return found
    }

    private mutating func addImage(
        _ row: (cells: [[UInt8]], line: Int), _ image: BytePath, _ columns: [Columns]
    ) throws(FileError) {
        for (task, columns) in columns.enumerated() where reading.reads(columns.task) {
            // Values that were withheld because the task does not apply.
            let values = tasks[task].activation == .identity ? columns.labels + columns.everyScore : []
            if !values.isEmpty, values.allSatisfy({ row.cells[$0].isEmpty }), row.cells[1] != Array("ok".utf8) {
                continue
            }
            let entry =
                switch tasks[task].activation {
                case .softmax: try rankedEntry(row, columns)
                case .sigmoid: try labelEntry(row, columns)
                case .identity:
                    Entry(everyScore: try numbers(row, columns.labels + columns.everyScore))
                }
            if let other = tasks[task].entries.updateValue(entry, forKey: image), other != entry {
                throw fault(row.line, "\(image) has another answer on an earlier line")
            }
        }
    }

    /// The classes of a head with a softmax by their ranks.
    private func rankedEntry(
        _ row: (cells: [[UInt8]], line: Int), _ columns: Columns
    ) throws(FileError) -> Entry {
        var entry = Entry()
        for (label, score) in zip(columns.labels, columns.scores) {
            let name = String(decoding: row.cells[label], as: UTF8.self)
            guard !name.isEmpty else {
                try checkWithheld(row, label, columns.task)
                continue
            }
            entry.labels.append(name)
            entry.scores.append(
                try score.map { (place) throws(FileError) in
                    try checkSingle(row, place, columns.task)
                    return try number(row, place)
                })
        }
        entry.everyScore = try numbers(row, columns.everyScore)
        return entry
    }

    /// Checks that a missing label was withheld: a head with a softmax always predicts one.
    private func checkWithheld(
        _ row: (cells: [[UInt8]], line: Int), _ column: Int, _ task: String
    ) throws(FileError) {
        guard row.cells[1] == Array("ok".utf8) else { return }
        throw fault(
            row.line, "column \(column + 1) has no label", .allowNoLabel(task: task))
    }

    /// Checks that a cell does not hold several scores, as only a head with a sigmoid has.
    private func checkSingle(
        _ row: (cells: [[UInt8]], line: Int), _ column: Int, _ task: String
    ) throws(FileError) {
        let text = String(decoding: row.cells[column], as: UTF8.self)
        guard text.contains(reading.separator) else { return }
        throw fault(
            row.line, "column \(column + 1) holds several scores", .readAs(.sigmoid, task: task))
    }

    /// The labels of a head with a sigmoid, which share a cell, and their scores.
    private func labelEntry(
        _ row: (cells: [[UInt8]], line: Int), _ columns: Columns
    ) throws(FileError) -> Entry {
        func parts(_ column: Int) throws(FileError) -> [String] {
            let text = String(decoding: row.cells[column], as: UTF8.self)
            guard let parts = MultiLabelImages.labels(text, separator: reading.separator) else {
                throw fault(row.line, "column \(column + 1): an empty part in \"\(text)\"")
            }
            return parts
        }
        var entry = Entry()
        for (label, score) in zip(columns.labels, columns.scores) {
            entry.labels = try parts(label)
            guard let score else {
                entry.scores = entry.labels.map { _ in nil }
                continue
            }
            for part in try parts(score) {
                guard let value = Double(part), value.isFinite else {
                    throw fault(row.line, "expected scores in column \(score + 1), found \"\(part)\"")
                }
                entry.scores.append(value)
            }
            guard entry.scores.count == entry.labels.count else {
                throw fault(
                    row.line, "\(entry.labels.count) labels in column \(label + 1), \(entry.scores.count) scores")
            }
        }
        entry.everyScore = try numbers(row, columns.everyScore)
        return entry
    }

    private func numbers(
        _ row: (cells: [[UInt8]], line: Int), _ columns: [Int]
    ) throws(FileError) -> [Double] {
        var numbers: [Double] = []
        for column in columns { numbers.append(try number(row, column)) }
        return numbers
    }

    private func number(_ row: (cells: [[UInt8]], line: Int), _ column: Int) throws(FileError) -> Double {
        let text = String(decoding: row.cells[column], as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw fault(row.line, "expected a score in column \(column + 1), found \"\(text)\"")
        }
        return value
    }

    // MARK: One row per rank

    private mutating func addPrediction(_ row: (cells: [[UInt8]], line: Int), _ image: BytePath) throws(FileError) {
        let (name, rank) = (
            String(decoding: row.cells[2], as: UTF8.self), String(decoding: row.cells[3], as: UTF8.self)
        )
        let task = tasks.firstIndex { $0.name == name } ?? tasks.count
        let activation = reading.activation(of: name)
        if task == tasks.count { tasks.append(Task(name: name, activation: activation, classes: [])) }
        guard reading.reads(name) else { return }
        let label = String(decoding: row.cells[4], as: UTF8.self)
        // A head with a sigmoid may predict no label.
        if activation == .sigmoid, !name.isEmpty, rank.isEmpty, label.isEmpty {
            guard tasks[task].entries.updateValue(Entry(), forKey: image) ?? Entry() == Entry() else {
                throw fault(row.line, "\(image) has another answer on an earlier line")
            }
            return
        }
        guard !name.isEmpty, let rank = Int(rank), rank >= 1 else {
            throw fault(
                row.line, "expected a task and a rank, found \"\(name)\" and \"\(rank)\"",
                name.isEmpty || !rank.isEmpty ? nil : .allowNoLabel(task: name))
        }
        // Values that were withheld because the task does not apply.
        if activation == .identity, row.cells.count > 5, row.cells[5].isEmpty, row.cells[1] != Array("ok".utf8) {
            return
        }
        let score = row.cells.count > 5 ? try number(row, 5) : nil
        var entry = tasks[task].entries[image] ?? Entry()
        if rank <= entry.labels.count {
            guard entry.labels[rank - 1] == label, entry.scores[rank - 1] == score else {
                throw fault(row.line, "\(image) has another answer of rank \(rank) on an earlier line")
            }
            return
        }
        // A label that was withheld is an empty cell.
        guard !label.isEmpty || entry.labels.isEmpty else { return }
        if label.isEmpty { try checkWithheld(row, 4, name) }
        if !label.isEmpty {
            guard rank == entry.labels.count + 1 else {
                throw fault(row.line, "rank \(rank) of \(name) comes after rank \(entry.labels.count)")
            }
            entry.labels.append(label)
            entry.scores.append(score)
        }
        tasks[task].entries[image] = entry
    }
}
