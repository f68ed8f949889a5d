import Datasets
package import Files
package import VisionTransformers

/// What the rows hold and how they are written.
package struct RowOptions: Sendable, Equatable {
    /// A file format.
    package enum Format: String, Sendable, CaseIterable {
        case csv, tsv, jsonl
    }

    /// Whether a row is a file, or one answer for one of a file's tasks. JSON Lines has one line a file in either.
    package enum Layout: String, Sendable, CaseIterable {
        case wide, long
    }

    /// What a score is: the probability, the logit as the model gives it, or left out. The values of a head without
    /// activation are no scores.
    package enum Scores: String, Sendable, CaseIterable {
        case prob, logit, none
    }

    /// The file format.
    package var format = Format.csv
    /// One row a file, or one an answer.
    package var layout = Layout.wide
    /// What a score is.
    package var scores = Scores.prob
    /// How many answers a task with a softmax gives, the best first.
    package var topK = 1
    /// Whether the score of every class is written.
    package var allScores = false
    /// The tasks to write, by name; nil for all. They are written in the model's order.
    package var tasks: [String]?
    /// The probability below which the answer of a task with a softmax is withheld, and from which on a class with a
    /// sigmoid is among the labels; nil for no threshold and for `sigmoidThreshold`.
    package var threshold: Double?
    /// The same for single tasks, by name.
    package var thresholds: [String: Double] = [:]
    /// What separates the labels of a task with a sigmoid in a cell.
    package var labelSeparator = MultiLabelImages.usualSeparator
    /// Whether paths and labels that a spreadsheet would take for formulas are guarded against that.
    package var guardsFormulas = false
    /// The folder that relative paths are made absolute with; nil to leave paths as they are.
    package var currentFolder: BytePath?

    /// The probability from which on a class with a sigmoid is among the labels, unless another is given.
    package static let sigmoidThreshold = HeadActivation.usualThreshold

    /// CSV with one row a file and every task's best class with its probability.
    package init() {}
}

/// One of the tasks that rows are written for.
struct SelectedTask {
    let name: [UInt8]
    let classes: [[UInt8]]
    let activation: HeadActivation
    /// The least probability of a label; nil for none.
    let threshold: Double?
    /// Where the task's logits stand among those of all tasks.
    let logits: Range<Int>

    /// The column of one class or output.
    func column(_ name: [UInt8]) -> [UInt8] { self.name + [UInt8(ascii: ":")] + name }
}

/// What one head answers: its task's name and its classes, in the order of its logits.
package struct TaskLabels: Sendable, Equatable {
    /// The task's name, as columns are named after it.
    package let name: String
    /// The class names, one a logit.
    package let classes: [String]
    /// What turns the logits into an answer.
    package let activation: HeadActivation

    /// A task and its classes.
    package init(name: String, classes: [String], activation: HeadActivation = .softmax) {
        self.name = name
        self.classes = classes
        self.activation = activation
    }
}
