/// The rows of `predictions.csv`: what was answered for every image of every task, beside what it shows.
///
/// `path,task,status,true_label,true_score,true_rank,label,score,label_2,score_2 ...` up to the fifth answer. Scores are
/// probabilities. Cells that are not known are empty, and so are all from `true_score` on when there is no answer.
public final class AnswerRows {
    /// How many answers a row gives, the best first.
    static let answersShown = 5

    private let output: OutputFile
    private let cells = DelimitedCells(delimiter: UInt8(ascii: ","))
    private var bytes: [UInt8] = []

    /// Rows that go to a file, which the caller commits; starts with the names of the columns.
    public init(_ output: OutputFile) {
        self.output = output
        var columns = ["path", "task", "status", "true_label", "true_score", "true_rank", "label", "score"]
        for rank in 2...AnswerRows.answersShown { columns += ["label_\(rank)", "score_\(rank)"] }
        cells.appendLine(columns.map { Array($0.utf8) }, to: &bytes)
    }

    /// One row.
    ///
    /// - Parameters:
    ///   - answer: what was answered, or the reason why nothing was.
    ///   - best: the best answers, best first, with their probabilities where they are known.
    ///   - trueScore: the probability of the true class, if it is known.
    func append(
        path: BytePath, task: EvaluationTask, truth: Int, answer: Result<ScoredAnswer, ReasonForNone>,
        best: some Sequence<(class: Int, score: Double?)>, trueScore: Double?
    ) {
        func cell(_ text: some Collection<UInt8>) {
            bytes.append(cells.delimiter)
            cells.append(text, to: &bytes)
        }
        func score(_ score: Double?) {
            bytes.append(cells.delimiter)
            if let score { ScoreFormatter.append(score, to: &bytes) }
        }
        cells.append(path.bytes, to: &bytes)
        cell(task.name.utf8)
        switch answer {
        case .failure(let failure):
            cell("error: \(failure.reason)".utf8)
            cell(task.classes[truth].utf8)
            bytes.append(contentsOf: repeatElement(cells.delimiter, count: 2 + 2 * AnswerRows.answersShown))
        case .success(let answer):
            cell("ok".utf8)
            cell(task.classes[truth].utf8)
            score(trueScore)
            cell((answer.rank.map(String.init) ?? "").utf8)
            var shown = 0
            for (place, probability) in best.prefix(AnswerRows.answersShown) {
                cell(task.classes[place].utf8)
                score(probability)
                shown += 1
            }
            let empty = 2 * max(AnswerRows.answersShown - shown, 0)
            bytes.append(contentsOf: repeatElement(cells.delimiter, count: empty))
        }
        bytes.append(0x0A)
    }

    /// Writes what is in the buffer.
    ///
    /// - Throws: what `OutputFile.write` throws.
    func flush() throws(LabellingError) {
        guard !bytes.isEmpty else { return }
        defer { bytes.removeAll(keepingCapacity: true) }
        try output.write(bytes)
    }
}

/// Why an image has no answer.
struct ReasonForNone: Error, Equatable {
    let reason: String
}
