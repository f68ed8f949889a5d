import Datasets
package import Files

/// The rows of `predictions.csv`: the truth and the prediction for every image of every task.
///
/// `path,task,status,true_label,true_score,true_rank,label,score,label_2,score_2 ...` up to the fifth class. Scores
/// are probabilities. Unknown values are empty cells, and so are all cells from `true_score` on without a prediction.
/// Several labels or values, true or predicted, share one cell, separated by `|`, and so do their scores.
package final class PredictionRows {
    /// The number of classes in a row, by descending score.
    package static let classesShown = 5

    private let output: OutputFile
    private let cells = DelimitedCells(delimiter: UInt8(ascii: ","))
    private var bytes: [UInt8] = []

    /// Starts a file with the header row. The caller commits the file.
    package init(_ output: OutputFile) {
        self.output = output
        var columns = ["path", "task", "status", "true_label", "true_score", "true_rank", "label", "score"]
        for rank in 2...PredictionRows.classesShown { columns += ["label_\(rank)", "score_\(rank)"] }
        cells.appendLine(columns.map { Array($0.utf8) }, to: &bytes)
    }

    /// The row of an image that shows a class.
    ///
    /// - Parameters:
    ///   - best: the best classes, the highest score first, with their probabilities where known.
    ///   - trueScore: the probability of the true class, if known.
    package func append(
        path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, prediction: Prediction,
        best: some Sequence<(class: Int, score: Double?)>, trueScore: Double?
    ) {
        append(
            path, task, item, status: "ok", trueScore: trueScore.map { Self.text([$0]) } ?? "",
            rank: prediction.rank.map(String.init) ?? "",
            predictions: best.prefix(PredictionRows.classesShown).map { place, score in
                (task.classes[place], score.map { Self.text([$0]) } ?? "")
            })
    }

    /// The row of an image that shows labels.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, prediction: LabelPrediction) {
        func scores(_ labels: [Int]) -> String {
            prediction.scores.isEmpty ? "" : Self.text(labels.map { prediction.scores[$0] })
        }
        let label = prediction.predicted.map { task.classes[$0] }.joined(separator: MultiLabelImages.usualSeparator)
        append(
            path, task, item, status: "ok", trueScore: scores(prediction.truth),
            predictions: [(label, scores(prediction.predicted))])
    }

    /// The row of an image that shows values.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, prediction: ValuePrediction) {
        let values = prediction.predicted.map { Float($0).description }
        append(
            path, task, item, status: "ok",
            predictions: [(values.joined(separator: MultiLabelImages.usualSeparator), "")])
    }

    /// The row of an image without a prediction.
    package func append(path: BytePath, task: EvaluationTask, item: EvaluationTask.Item, failure: String) {
        append(path, task, item, status: "error: \(failure)", predictions: [])
    }

    private func append(
        _ path: BytePath, _ task: EvaluationTask, _ item: EvaluationTask.Item, status: String, trueScore: String = "",
        rank: String = "", predictions: [(label: String, score: String)]
    ) {
        cells.append(path.bytes, to: &bytes)
        for cell in [task.name, status, task.shown(by: item), trueScore, rank] {
            bytes.append(cells.delimiter)
            cells.append(cell.utf8, to: &bytes)
        }
        for place in 0..<PredictionRows.classesShown {
            for cell in place < predictions.count ? [predictions[place].label, predictions[place].score] : ["", ""] {
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

    /// Writes the buffered rows to the file.
    ///
    /// - Throws: what `OutputFile.write` throws.
    package func flush() throws(OutputError) {
        guard !bytes.isEmpty else { return }
        defer { bytes.removeAll(keepingCapacity: true) }
        try output.write(bytes)
    }
}
