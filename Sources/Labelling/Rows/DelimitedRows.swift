/// One row a file: `path,status` and each task's columns.
struct WideRows: RowEncoder {
    let cells: DelimitedCells
    let tasks: [SelectedTask]
    let topK: Int
    let hasScores: Bool
    let allScores: Bool

    /// The column names. Names of tasks and classes can make two the same; whoever opens the file checks that.
    var columns: [[UInt8]] {
        var columns = [Array("path".utf8), Array("status".utf8)]
        for task in tasks {
            for rank in 1...topK {
                let column = rank == 1 ? task.name : task.name + Array("_\(rank)".utf8)
                columns.append(column)
                if hasScores { columns.append(column + Array("_score".utf8)) }
            }
            if allScores { columns += task.classes.map { task.name + [UInt8(ascii: ":")] + $0 } }
        }
        return columns
    }

    func appendHeader(to bytes: inout [UInt8]) { cells.appendLine(columns, to: &bytes) }

    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8]) {
        cells.append(path, to: &bytes)
        bytes.append(cells.delimiter)
        cells.append(status, to: &bytes)
        for task in tasks {
            let count = topK * (hasScores ? 2 : 1) + (allScores ? task.classes.count : 0)
            bytes.append(contentsOf: repeatElement(cells.delimiter, count: count))
        }
        bytes.append(0x0A)
    }

    func append(path: [UInt8], status: [UInt8], answers: [TaskAnswer], to bytes: inout [UInt8]) {
        cells.append(path, to: &bytes)
        bytes.append(cells.delimiter)
        cells.append(status, to: &bytes)
        for (task, answer) in zip(tasks, answers) {
            for rank in 0..<topK {
                let index = rank < answer.ranks.count ? answer.ranks[rank] : nil
                bytes.append(cells.delimiter)
                if let index, !answer.isBelowThreshold { cells.append(task.classes[index], to: &bytes) }
                guard hasScores else { continue }
                bytes.append(cells.delimiter)
                if let index { ScoreFormatter.append(answer.scores[index], to: &bytes) }
            }
            guard allScores else { continue }
            for score in answer.scores {
                bytes.append(cells.delimiter)
                ScoreFormatter.append(score, to: &bytes)
            }
        }
        bytes.append(0x0A)
    }
}

/// One row an answer: `path,status,task,rank,label,score`.
struct LongRows: RowEncoder {
    let cells: DelimitedCells
    let tasks: [SelectedTask]
    let hasScores: Bool
    let allScores: Bool

    func appendHeader(to bytes: inout [UInt8]) {
        let columns = ["path", "status", "task", "rank", "label"] + (hasScores ? ["score"] : [])
        cells.appendLine(columns.map { Array($0.utf8) }, to: &bytes)
    }

    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8]) {
        cells.append(path, to: &bytes)
        bytes.append(cells.delimiter)
        cells.append(status, to: &bytes)
        bytes.append(contentsOf: repeatElement(cells.delimiter, count: hasScores ? 4 : 3))
        bytes.append(0x0A)
    }

    func append(path: [UInt8], status: [UInt8], answers: [TaskAnswer], to bytes: inout [UInt8]) {
        for (task, answer) in zip(tasks, answers) {
            for (rank, index) in answer.ranks.enumerated() {
                cells.append(path, to: &bytes)
                bytes.append(cells.delimiter)
                cells.append(status, to: &bytes)
                bytes.append(cells.delimiter)
                cells.append(task.name, to: &bytes)
                bytes.append(cells.delimiter)
                bytes.append(contentsOf: String(rank + 1).utf8)
                bytes.append(cells.delimiter)
                // With every class written, the label says whose score this is, rather than what the answer is.
                if allScores || !answer.isBelowThreshold { cells.append(task.classes[index], to: &bytes) }
                if hasScores {
                    bytes.append(cells.delimiter)
                    ScoreFormatter.append(answer.scores[index], to: &bytes)
                }
                bytes.append(0x0A)
            }
        }
    }
}
