import Files
import VisionTransformers

/// One row per file: `path,status` and the columns of each task.
struct WideRows: RowEncoder {
    let cells: DelimitedCells
    let tasks: [SelectedTask]
    let topK: Int
    let hasScores: Bool
    let allScores: Bool
    let hasBestTask: Bool
    let separator: LabelSeparator

    /// The column names, which the row writer checks to be different.
    var columns: [[UInt8]] {
        ([["path", "status"], hasBestTask ? ["best_task"] : []].joined().map { Array($0.utf8) })
            + tasks.flatMap(columns)
    }

    private func columns(of task: SelectedTask) -> [[UInt8]] {
        let fit = task.fit == nil ? [] : [task.name + Array("_fit".utf8)]
        guard task.activation != .identity else {
            return (task.classes.count == 1 ? [task.name] : task.classes.map(task.column)) + fit
        }
        var columns: [[UInt8]] = []
        for rank in 1...(task.activation == .softmax ? topK : 1) {
            let column = rank == 1 ? task.name : task.name + Array("_\(rank)".utf8)
            columns.append(column)
            if hasScores { columns.append(column + Array("_score".utf8)) }
        }
        columns += fit
        if allScores { columns += task.classes.map(task.column) }
        return columns
    }

    func appendHeader(to bytes: inout [UInt8]) { cells.appendLine(columns, to: &bytes) }

    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8]) {
        cells.append(path, to: &bytes)
        bytes.append(cells.delimiter)
        cells.append(status, to: &bytes)
        if hasBestTask { bytes.append(cells.delimiter) }
        for task in tasks {
            bytes.append(contentsOf: repeatElement(cells.delimiter, count: columns(of: task).count))
        }
        bytes.append(0x0A)
    }

    func append(
        path: [UInt8], status: [UInt8], best: [UInt8]?, predictions: [RankedClasses], to bytes: inout [UInt8]
    ) {
        cells.append(path, to: &bytes)
        bytes.append(cells.delimiter)
        cells.append(status, to: &bytes)
        if hasBestTask {
            bytes.append(cells.delimiter)
            cells.append(best ?? [], to: &bytes)
        }
        for (task, prediction) in zip(tasks, predictions) {
            switch task.activation {
            case .softmax: appendRanks(task, prediction, to: &bytes)
            case .sigmoid: appendSet(task, prediction, to: &bytes)
            case .identity:
                for value in prediction.scores {
                    bytes.append(cells.delimiter)
                    if !prediction.isBelowFit { ValueFormatter.append(value, to: &bytes) }
                }
                if task.fit != nil { cells.appendFit(prediction.fit, to: &bytes) }
                continue
            }
            if task.fit != nil { cells.appendFit(prediction.fit, to: &bytes) }
            guard allScores else { continue }
            for score in prediction.scores {
                bytes.append(cells.delimiter)
                ScoreFormatter.append(score, to: &bytes)
            }
        }
        bytes.append(0x0A)
    }

    private func appendRanks(_ task: SelectedTask, _ prediction: RankedClasses, to bytes: inout [UInt8]) {
        for rank in 0..<topK {
            let index = rank < prediction.ranks.count ? prediction.ranks[rank] : nil
            bytes.append(cells.delimiter)
            if let index, !prediction.isWithheld { cells.append(task.classes[index], to: &bytes) }
            guard hasScores else { continue }
            bytes.append(cells.delimiter)
            if let index { ScoreFormatter.append(prediction.scores[index], to: &bytes) }
        }
    }

    /// Appends the labels of a task with a sigmoid in one cell, and their scores in another.
    private func appendSet(_ task: SelectedTask, _ prediction: RankedClasses, to bytes: inout [UInt8]) {
        bytes.append(cells.delimiter)
        guard !prediction.isBelowFit else {
            if hasScores { bytes.append(cells.delimiter) }
            return
        }
        cells.append(separator.join(prediction.ranks) { task.classes[$0][...] }, to: &bytes)
        guard hasScores else { return }
        bytes.append(cells.delimiter)
        let scores = separator.join(prediction.ranks) { index in
            var score: [UInt8] = []
            ScoreFormatter.append(prediction.scores[index], to: &score)
            return score[...]
        }
        // Several scores are text, which a spreadsheet may take for a formula if it starts with a minus.
        if prediction.ranks.count > 1 { cells.append(scores, to: &bytes) } else { bytes += scores }
    }
}

/// One row per label: `path,status,task,rank,label,score`.
struct LongRows: RowEncoder {
    let cells: DelimitedCells
    let tasks: [SelectedTask]
    let hasScores: Bool
    let allScores: Bool
    let hasBestTask: Bool

    /// Whether there is a column for scores, which always holds the outputs of heads without activation.
    private var hasScoreColumn: Bool { hasScores || tasks.contains { $0.activation == .identity } }

    /// Whether there is a column for fits.
    private var hasFitColumn: Bool { tasks.contains { $0.fit != nil } }

    func appendHeader(to bytes: inout [UInt8]) {
        let columns =
            ["path", "status"] + (hasBestTask ? ["best_task"] : []) + ["task", "rank", "label"]
            + (hasScoreColumn ? ["score"] : []) + (hasFitColumn ? ["fit"] : [])
        cells.appendLine(columns.map { Array($0.utf8) }, to: &bytes)
    }

    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8]) {
        appendStart(path, status, nil, [], to: &bytes)
        appendEnd(nil, to: &bytes)
    }

    func append(
        path: [UInt8], status: [UInt8], best: [UInt8]?, predictions: [RankedClasses], to bytes: inout [UInt8]
    ) {
        for (task, prediction) in zip(tasks, predictions) {
            let isEmpty = prediction.ranks.isEmpty || prediction.isBelowFit && task.activation == .sigmoid && !allScores
            if isEmpty {
                // A task without labels still has its row.
                appendStart(path, status, best, task.name, to: &bytes)
                appendEnd(prediction.fit, to: &bytes)
                continue
            }
            for (rank, index) in prediction.ranks.enumerated() {
                appendStart(path, status, best, task.name, to: &bytes)
                bytes.append(contentsOf: String(rank + 1).utf8)
                bytes.append(cells.delimiter)
                // Where every class has a row, the label says whose score this is.
                let isNamed = allScores || task.activation == .identity || !prediction.isWithheld
                if isNamed { cells.append(task.classes[index], to: &bytes) }
                if hasScoreColumn { bytes.append(cells.delimiter) }
                if task.activation == .identity {
                    if !prediction.isBelowFit { ValueFormatter.append(prediction.scores[index], to: &bytes) }
                } else if hasScores {
                    ScoreFormatter.append(prediction.scores[index], to: &bytes)
                }
                if hasFitColumn { cells.appendFit(prediction.fit, to: &bytes) }
                bytes.append(0x0A)
            }
        }
    }

    /// Appends the cells before the rank.
    private func appendStart(
        _ path: [UInt8], _ status: [UInt8], _ best: [UInt8]?, _ task: [UInt8], to bytes: inout [UInt8]
    ) {
        for cell in [path, status] + (hasBestTask ? [best ?? []] : []) + [task] {
            cells.append(cell, to: &bytes)
            bytes.append(cells.delimiter)
        }
    }

    /// Appends empty cells from the rank on, and the fit.
    private func appendEnd(_ fit: Float?, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: repeatElement(cells.delimiter, count: hasScoreColumn ? 2 : 1))
        if hasFitColumn { cells.appendFit(fit, to: &bytes) }
        bytes.append(0x0A)
    }
}

extension DelimitedCells {
    /// Appends the cell of a fit, empty for one that is not known.
    fileprivate func appendFit(_ fit: Float?, to bytes: inout [UInt8]) {
        bytes.append(delimiter)
        if let fit { ScoreFormatter.append(Double(fit), to: &bytes) }
    }
}

/// The separator of the labels in one cell, checked such that the labels can be parsed again.
struct LabelSeparator {
    private let bytes: [UInt8]

    /// A separator for the classes of the tasks with a sigmoid.
    ///
    /// - Throws: `LabellingError.options` when it is empty or may be part of a number, `LabellingError.labelSeparator`
    ///   when the name of a class is empty or contains it.
    init(_ text: String, for tasks: [SelectedTask]) throws(LabellingError) {
        bytes = Array(text.utf8)
        let forbidden = Array("0123456789.-+\"\r\n".utf8)
        guard !bytes.isEmpty, !bytes.contains(where: forbidden.contains) else {
            throw .options(
                "the label separator \"\(text)\" must not be empty or contain digits, a point, a sign, quotes or "
                    + "line ends"
            )
        }
        for task in tasks where task.activation == .sigmoid {
            for name in task.classes where !separates(name) {
                throw .labelSeparator(
                    text, class: String(decoding: name, as: UTF8.self), task: String(decoding: task.name, as: UTF8.self)
                )
            }
        }
    }

    /// Whether the separator occurs in the name followed by the separator only at its end.
    private func separates(_ name: [UInt8]) -> Bool {
        let text = name + bytes
        return !name.isEmpty && !name.indices.contains { text[$0...].starts(with: bytes) }
    }

    /// The texts of some classes with the separator between them.
    func join(_ classes: [Int], text: (Int) -> ArraySlice<UInt8>) -> [UInt8] {
        var joined: [UInt8] = []
        for (position, index) in classes.enumerated() {
            if position > 0 { joined += bytes }
            joined += text(index)
        }
        return joined
    }
}
