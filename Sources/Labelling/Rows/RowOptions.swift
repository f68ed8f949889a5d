/// What the rows hold and how they are written.
public struct RowOptions: Sendable, Equatable {
    /// A file format.
    public enum Format: String, Sendable, CaseIterable {
        case csv, tsv, jsonl
    }

    /// Whether a row is a file, or one answer for one of a file's tasks. JSON Lines has one line a file in either.
    public enum Layout: String, Sendable, CaseIterable {
        case wide, long
    }

    /// What a score is: the softmax probability, the logit as the model gives it, or left out.
    public enum Scores: String, Sendable, CaseIterable {
        case prob, logit, none
    }

    /// The file format.
    public var format = Format.csv
    /// One row a file, or one an answer.
    public var layout = Layout.wide
    /// What a score is.
    public var scores = Scores.prob
    /// How many answers a task gives, the best first.
    public var topK = 1
    /// Whether the score of every class is written.
    public var allScores = false
    /// The tasks to write, by name; nil for all. They are written in the model's order.
    public var tasks: [String]?
    /// The probability below which a task's answer is withheld.
    public var threshold: Double?
    /// Whether paths and labels that a spreadsheet would take for formulas are guarded against that.
    public var guardsFormulas = false
    /// The folder that relative paths are made absolute with; nil to leave paths as they are.
    public var currentFolder: BytePath?

    /// CSV with one row a file and every task's best class with its probability.
    public init() {}
}

/// One of the tasks that rows are written for.
struct SelectedTask {
    let name: [UInt8]
    let classes: [[UInt8]]
    /// Where the task's logits stand among those of all tasks.
    let logits: Range<Int>
}
