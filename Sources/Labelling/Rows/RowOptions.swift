import Datasets
package import Files
package import VisionTransformers

/// The content and the format of rows.
package struct RowOptions: Sendable, Equatable {
    /// A file format.
    package enum Format: String, Sendable, CaseIterable {
        case csv, tsv, jsonl
    }

    /// Whether there is one row per file, or one per label of a task. JSON Lines has one line per file in both.
    package enum Layout: String, Sendable, CaseIterable {
        case wide, long
    }

    /// Whether scores are probabilities, logits, or left out. The outputs of a head without activation are not scores.
    package enum Scores: String, Sendable, CaseIterable {
        case prob, logit, none
    }

    /// The file format.
    package var format = Format.csv
    /// One row per file, or one per label.
    package var layout = Layout.wide
    /// The kind of the scores.
    package var scores = Scores.prob
    /// The number of classes written for a task with a softmax, best first.
    package var topK = 1
    /// Whether the score of every class is written.
    package var allScores = false
    /// The tasks to write, by name; nil for all. They are written in the model's order.
    package var tasks: [String]?
    /// The probability that the best class of a task with a softmax must reach to be written, and that makes a class of
    /// a task with a sigmoid a label. Nil means none for a softmax, and `sigmoidThreshold` for a sigmoid.
    package var threshold: Double?
    /// The thresholds of single tasks, by name.
    package var thresholds: [String: Double] = [:]
    /// The smallest fit with which a task's labels are written; nil for any.
    package var minimumFit: Double?
    /// The smallest fits of single tasks, by name.
    package var minimumFits: [String: Double] = [:]
    /// Whether the task that fits most is written.
    package var writesBestTask = false
    /// The separator of the labels of a task with a sigmoid in one cell.
    package var labelSeparator = MultiLabelImages.usualSeparator
    /// Whether the table is for spreadsheets: with a byte order mark, and with an apostrophe before paths and labels
    /// that they would take for formulas.
    package var guardsFormulas = false
    /// The folder that relative paths are joined to; nil to leave paths as they are.
    package var currentFolder: BytePath?

    /// The least probability of a label of a task with a sigmoid, unless specified.
    package static let sigmoidThreshold = HeadActivation.usualThreshold

    /// CSV with one row per file, and the best class of every task with its probability.
    package init() {}
}

/// A task that rows are written for.
struct SelectedTask {
    let name: [UInt8]
    let classes: [[UInt8]]
    let activation: HeadActivation
    /// The least probability of a label; nil for none.
    let threshold: Double?
    /// The range of the task's logits among the model's outputs.
    let logits: Range<Int>
    /// The place of the task's fit among the model's outputs, if it has one.
    let fit: Int?
    /// The smallest fit with which labels are written; nil for any.
    let minimumFit: Double?

    /// The column of one class or output.
    func column(_ name: [UInt8]) -> [UInt8] { self.name + [UInt8(ascii: ":")] + name }
}

/// The outputs of one head: the name of its task, and its classes in the order of the logits.
package struct TaskLabels: Sendable, Equatable {
    /// The task's name, which is also the name of its column.
    package let name: String
    /// The class names, one per logit.
    package let classes: [String]
    /// The function that turns the logits into scores.
    package let activation: HeadActivation
    /// Whether the model says how well images fit the task.
    package let hasFit: Bool

    /// A task and its classes.
    package init(name: String, classes: [String], activation: HeadActivation = .softmax, hasFit: Bool = false) {
        self.name = name
        self.classes = classes
        self.activation = activation
        self.hasFit = hasFit
    }
}

extension [TaskLabels] {
    /// The number of logits of all tasks.
    package var logitCount: Int { reduce(0) { $0 + $1.classes.count } }
    /// The number of outputs for an image: the logits of all tasks, then a value for each task that has a fit.
    package var outputCount: Int { logitCount + count(where: \.hasFit) }

    /// The place of a task's fit among the outputs, if it has one.
    package func fitPlace(of task: String) -> Int? {
        guard let index = firstIndex(where: { $0.name == task }), self[index].hasFit else { return nil }
        return logitCount + self[..<index].count(where: \.hasFit)
    }
}
