import Datasets
import Files
import Tensors
package import VisionTransformers

/// How a file of predictions is to be read: it does not say what its columns are.
package struct PredictionsReading: Sendable {
    private let activations: [String: HeadActivation]
    private let tasks: Set<String>?
    /// What separates the labels of a cell.
    package let separator: String

    /// How to read some tasks.
    ///
    /// - Parameters:
    ///   - tasks: the tasks that are wanted; of others only the names are read. Nil for all.
    ///   - activations: what the heads of tasks are, by name, unless a softmax.
    ///   - separator: what separates the labels of a cell.
    package init(
        tasks: [String]? = nil, activations: [String: HeadActivation] = [:],
        separator: String = MultiLabelImages.usualSeparator
    ) {
        (self.tasks, self.activations, self.separator) = (tasks.map(Set.init), activations, separator)
    }

    package func reads(_ task: String) -> Bool { tasks?.contains(task) ?? true }

    package func activation(of task: String) -> HeadActivation { activations[task] ?? .softmax }

    /// Checks that a task has the columns of its activation.
    ///
    /// - Throws: `FileError` about `path`.
    func check(_ columns: PredictionsTable.Columns, _ path: BytePath) throws(FileError) {
        let (task, hasScores) = (columns.task, columns.scores.contains { $0 != nil })
        func fault(_ reason: String) -> FileError { FileError(path: path, reason: reason) }
        switch activation(of: task) {
        case .softmax:
            guard !columns.labels.isEmpty else {
                throw fault(
                    "\(task) has columns of values and none of labels; say so by --activation \(task)=none")
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

/// The answers of one task of a predictions file whose head has a sigmoid.
struct LabelledTask {
    /// The classes that answers are indexed by.
    let classes: [String]
    /// What cannot be computed, and why.
    let missing: [String]
    /// Whether the scores of all classes are known.
    let hasEveryScore: Bool
    /// The least probability of a label; nil where the labels are those in the file.
    let threshold: Double?
    private let places: [String: Int]
    private let areProbabilities: Bool

    /// - Parameter threshold: the least probability of a label; nil to take the labels that are in the file. A long
    ///   file with all scores does not tell them; then it is the usual threshold.
    init(_ task: PredictionsTable.Task, isLong: Bool, dataClasses: [String], threshold: Double?) {
        let entries = task.entries.values
        let labels = Set(entries.lazy.flatMap(\.labels))
        // In a long file every class is a rank; then all images name the same classes, those of the data among them.
        let listsAll =
            isLong && !labels.isEmpty && dataClasses.allSatisfy(labels.contains)
            && entries.allSatisfy { $0.labels.count == labels.count && !$0.scores.contains(nil) }
        hasEveryScore = !task.classes.isEmpty || listsAll
        classes =
            !task.classes.isEmpty
            ? task.classes
            : labels.union(dataClasses).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        places = Dictionary(classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        self.threshold = threshold ?? (listsAll ? HeadActivation.usualThreshold : nil)
        areProbabilities = entries.allSatisfy { entry in
            entry.everyScore.allSatisfy { (0...1).contains($0) }
                && entry.scores.allSatisfy { $0.map { (0...1).contains($0) } ?? true }
        }
        missing =
            hasEveryScore
            ? []
            : [
                "mean average precision needs the scores of all classes: label with --all-scores",
                "the head's classes are not known, those of the data and of the answers are taken: label with "
                    + "--all-scores",
            ]
    }

    /// A label of an entry that is not one of the classes.
    func unknownLabel(_ entry: PredictionsTable.Entry) -> String? { entry.labels.first { places[$0] == nil } }

    /// The answer of an entry.
    func answer(_ entry: PredictionsTable.Entry, truth: [Int]) -> LabelPrediction {
        let given = entry.labels.compactMap { places[$0] }
        guard hasEveryScore else { return LabelPrediction(truth: truth, predicted: given.sorted(), scores: []) }
        var scores = entry.everyScore
        if scores.isEmpty {
            scores = Array(repeating: 0, count: classes.count)
            for (place, score) in zip(given, entry.scores) { scores[place] = score ?? 0 }
        }
        if !areProbabilities { scores = scores.map(Logits.sigmoid) }
        guard let threshold else { return LabelPrediction(truth: truth, predicted: given.sorted(), scores: scores) }
        return LabelPrediction(
            truth: truth, predicted: scores.indices.filter { scores[$0] >= threshold }, scores: scores)
    }
}
