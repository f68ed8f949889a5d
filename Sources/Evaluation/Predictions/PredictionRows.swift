import Datasets
package import Files

/// The rows of `predictions.csv`: what was answered for every image of every task, beside what it shows.
///
/// `path,task,status,true_label,true_score,true_rank,label,score,label_2,score_2 ...` up to the fifth answer. Scores
/// are probabilities. Cells that are not known are empty, and so are all from `true_score` on when there is no answer.
/// Where an image shows labels or values, they stand in one cell, separated by `|`, and so do what was answered and its
/// scores.
package final class PredictionRows {
    /// How many answers a row gives, the best first.
    package static let answersShown = 5

    private let output: OutputFile
    private let cells = DelimitedCells(delimiter: UInt8(ascii: ","))
    private var bytes: [UInt8] = []

    /// Rows that go to a file, which the caller commits; starts with the names of the columns.
    package init(_ output: OutputFile) {
        self.output = output
        var columns = ["path", "task", "status", "true_label", "true_score", "true_rank", "label", "score"]
        for rank in 2...PredictionRows.answersShown { columns += ["label_\(rank)", "score_\(rank)"] }
        cells.appendLine(columns.map { Array($0.utf8) }, to: &bytes)
    }

    /// The row of an image that shows a class.
    ///
    /// - Parameters:
    ///   - best: the best answers, best first, with their probabilities where they are known.
    ///   - trueScore: the probability of the true class, if it is known.
    package func append(
        path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, answer: Prediction,
        best: some Sequence<(class: Int, score: Double?)>, trueScore: Double?
    ) {
        append(
            path, task, item, status: "ok", trueScore: trueScore.map { Self.text([$0]) } ?? "",
            rank: answer.rank.map(String.init) ?? "",
            answers: best.prefix(PredictionRows.answersShown).map { place, score in
                (task.classes[place], score.map { Self.text([$0]) } ?? "")
            })
    }

    /// The row of an image that shows labels.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, answer: LabelPrediction) {
        func scores(_ labels: [Int]) -> String {
            answer.scores.isEmpty ? "" : Self.text(labels.map { answer.scores[$0] })
        }
        let label = answer.predicted.map { task.classes[$0] }.joined(separator: MultiLabelImages.usualSeparator)
        append(
            path, task, item, status: "ok", trueScore: scores(answer.truth),
            answers: [(label, scores(answer.predicted))])
    }

    /// The row of an image that shows values.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, answer: ValuePrediction) {
        let values = answer.predicted.map { Float($0).description }
        append(
            path, task, item, status: "ok",
            answers: [(values.joined(separator: MultiLabelImages.usualSeparator), "")])
    }

    /// The row of an image without an answer.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, failure: String) {
        append(path, task, item, status: "error: \(failure)", answers: [])
    }

    private func append(
        _ path: BytePath, _ task: EvaluationTask, _ item: EvaluationTask.Item, status: String, trueScore: String = "",
        rank: String = "", answers: [(label: String, score: String)]
    ) {
        cells.append(path.bytes, to: &bytes)
        for cell in [task.name, status, task.shown(by: item), trueScore, rank] {
            bytes.append(cells.delimiter)
            cells.append(cell.utf8, to: &bytes)
        }
        for place in 0..<PredictionRows.answersShown {
            for cell in place < answers.count ? [answers[place].label, answers[place].score] : ["", ""] {
                bytes.append(cells.delimiter)
                cells.append(cell.utf8, to: &bytes)
            }
        }
        bytes.append(0x0A)
    }

    /// Scores as `label` writes them, separated.
    private static func text(_ scores: [Double]) -> String {
        var bytes: [UInt8] = []
        for (index, score) in scores.enumerated() {
            if index > 0 { bytes += MultiLabelImages.usualSeparator.utf8 }
            ScoreFormatter.append(score, to: &bytes)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes what is in the buffer.
    ///
    /// - Throws: what `OutputFile.write` throws.
    package func flush() throws(OutputError) {
        guard !bytes.isEmpty else { return }
        defer { bytes.removeAll(keepingCapacity: true) }
        try output.write(bytes)
    }
}
