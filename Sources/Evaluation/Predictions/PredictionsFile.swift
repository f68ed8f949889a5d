package import Datasets
package import Files
import VisionTransformers

/// Predictions that `label` wrote earlier, which are evaluated without a model.
///
/// The available metrics depend on the columns: all scores allow every metric, the best class's probability allows
/// calibration, labels alone allow accuracy and F1.
package struct PredictionsFile {
    private let table: PredictionsTable
    private let folder: BytePath

    /// Reads a CSV or TSV, wide or long.
    ///
    /// - Parameter reading: the activations of the tasks, and which tasks to read.
    /// - Throws: `FileError` naming the line that `label` does not write, or the task whose columns do not fit its
    ///   activation.
    package init(_ path: BytePath, reading: PredictionsReading = PredictionsReading()) throws {
        folder = try BytePath.currentFolder()
        table = try PredictionsTable(path, in: folder, reading: reading)
    }

    /// The names of the tasks in it.
    package var tasks: [String] { table.tasks.map(\.name) }

    /// The predictions for the images of a task. Images are matched by absolute path; links are not resolved.
    ///
    /// The classes are those that have scores. If not all of the head's classes have scores, they are unknown, and the
    /// classes are those of the data and of the predictions, in byte order.
    ///
    /// - Parameter rows: receives every prediction, if recorded.
    /// - Returns: the task with its classes, and its predictions. An image without a row is among the failures.
    /// - Throws: `UnknownTask`; `FileError` when a label is not among the classes, the scores are not those of a
    ///   softmax, or the file has none of the images.
    package func predictions(
        to name: String, images: LabelledImages, rows: PredictionRows? = nil
    ) throws -> (task: EvaluationTask, predictions: TaskPredictions) {
        let recorded = try task(name)
        try checkSoftmax(recorded, images.classes)
        let answered = ScoredTask(recorded, isLong: table.isLong, dataClasses: images.classes)
        let task = try EvaluationTask(name: name, classes: answered.classes, images: images)
        var predictions = TaskPredictions(to: task)
        predictions.ranksKnown = answered.ranksKnown
        predictions.missing = answered.missing
        try collect(recorded, task, &predictions, rows) { entry, index, predictions throws in
            let item = task.items[index]
            switch answered.prediction(entry, truth: item.truth) {
            case .unknownLabel(let label): throw unknown(label, item)
            case .withheld: return "its label was withheld (below the threshold)"
            case .scored(let prediction, let best, let trueScore):
                predictions.classes[index] = prediction
                rows?.append(
                    path: item.path, task: task, item: item, prediction: prediction, best: best, trueScore: trueScore)
                return nil
            }
        }
        return (task, predictions)
    }

    /// The predictions of a head with a sigmoid for the images of a task.
    ///
    /// The labels are those in the file, or with a threshold those whose scores reach it.
    ///
    /// - Parameters:
    ///   - threshold: the minimum probability of a label; nil to take the labels in the file.
    ///   - rows: receives every prediction, if recorded.
    /// - Returns: the task and its predictions, as for images of one class.
    /// - Throws: `FileError` as for images of one class, and when a threshold is recorded but scores are
    ///   missing.
    package func predictions(
        to name: String, images: MultiLabelImages, threshold: Double? = nil, rows: PredictionRows? = nil
    ) throws -> (task: EvaluationTask, predictions: TaskPredictions) {
        let recorded = try task(name)
        let answered = LabelledTask(recorded, isLong: table.isLong, dataClasses: images.classes, threshold: threshold)
        guard threshold == nil || answered.hasEveryScore else {
            throw FileError(
                path: table.path,
                reason:
                    "the labels of \(name) were chosen when it was written; a threshold needs the scores of all "
                    + "classes",
                remedy: PredictionsRemedy.writeAllScores)
        }
        let task = try EvaluationTask(name: name, classes: answered.classes, images: images)
        guard case .labels(let sets) = task.truths else { return (task, TaskPredictions(to: task)) }
        var predictions = TaskPredictions(to: task, threshold: answered.threshold)
        predictions.missing = answered.missing
        try collect(recorded, task, &predictions, rows) { entry, index, predictions throws in
            let item = task.items[index]
            if let label = answered.unknownLabel(entry) { throw unknown(label, item) }
            let prediction = answered.prediction(entry, truth: sets[item.truth])
            predictions.labels[index] = prediction
            rows?.append(path: item.path, task: task, item: item, prediction: prediction)
            return nil
        }
        return (task, predictions)
    }

    /// The names of the outputs of a head without activation; the task's name where a single output has no name.
    package func outputs(of name: String) throws -> [String] {
        let recorded = try task(name)
        if !recorded.classes.isEmpty { return recorded.classes }
        return table.isLong ? recorded.entries.values.first?.labels ?? [name] : [name]
    }

    /// The values of a head without activation for the images of a task.
    ///
    /// - Parameters:
    ///   - images: true values of the outputs that `outputs(of:)` names.
    ///   - rows: receives every prediction, if recorded.
    /// - Returns: the task and its predictions, as for images of one class.
    /// - Throws: `FileError` as for images of one class.
    package func predictions(
        to name: String, images: ImageValues, rows: PredictionRows? = nil
    ) throws -> (task: EvaluationTask, predictions: TaskPredictions) {
        let recorded = try task(name)
        let task = EvaluationTask(name: name, images: images)
        var predictions = TaskPredictions(to: task)
        try collect(recorded, task, &predictions, rows) { entry, index, predictions throws in
            let item = task.items[index]
            let found = table.isLong ? entry.scores.compactMap(\.self) : entry.everyScore
            guard found.count == images.outputs.count, !table.isLong || entry.labels == images.outputs else {
                throw FileError(
                    path: table.path,
                    reason: "\(item.path): expected the values of \(images.outputs.joined(separator: ", "))")
            }
            // A model's values are 32-bit floats, written so that they read back exactly.
            let prediction = ValuePrediction(
                truth: images.values[item.truth], predicted: found.map { Double(Float($0)) })
            predictions.values[index] = prediction
            rows?.append(path: item.path, task: task, item: item, prediction: prediction)
            return nil
        }
        return (task, predictions)
    }

    private func task(_ name: String) throws -> PredictionsTable.Task {
        guard let recorded = table.tasks.first(where: { $0.name == name }) else {
            throw UnknownTask(name, tasks: tasks)
        }
        return recorded
    }

    private func unknown(_ label: String, _ item: EvaluationTask.Item) -> FileError {
        FileError(
            path: table.path,
            reason: "\(item.path): the label \"\(label)\" is not among the classes with scores")
    }

    /// Refuses predictions of a head with a sigmoid that would be read as those of a softmax.
    private func checkSoftmax(_ task: PredictionsTable.Task, _ classes: [String]) throws {
        let separator = table.reading.separator
        let known = Set(classes + task.classes)
        let isJoined = task.entries.values.contains { entry in
            entry.labels.contains { label in
                !known.contains(label) && label.contains(separator)
                    && MultiLabelImages.labels(label, separator: separator)?.allSatisfy(known.contains) == true
            }
        }
        let isIndependent =
            !task.classes.isEmpty && !task.entries.isEmpty
            && task.entries.values.allSatisfy { $0.everyScore.allSatisfy { (0...1).contains($0) } }
            && task.entries.values.contains {
                abs($0.everyScore.reduce(0, +) - 1) > 1e-6 * Double(task.classes.count + 1)
            }
        guard isJoined || isIndependent else { return }
        throw FileError(
            path: table.path,
            reason: isJoined
                ? "cells of \(task.name) hold several labels"
                : "the scores of \(task.name) lie within 0 and 1 but do not add up to 1, as those of independent "
                    + "labels",
            remedy: PredictionsRemedy.readAs(.sigmoid, task: task.name))
    }

    /// Visits the images of a task.
    ///
    /// - Parameter take: takes an image's entry; returns the reason if it holds no prediction.
    private func collect(
        _ recorded: PredictionsTable.Task, _ task: EvaluationTask, _ predictions: inout TaskPredictions,
        _ rows: PredictionRows?, _ take: (PredictionsTable.Entry, _ index: Int, inout TaskPredictions) throws -> String?
    ) throws {
        var isAnyThere = false
        for (index, item) in task.items.enumerated() {
            let image = item.path.normalized(in: folder)
            var reason = table.failures[image] ?? "no row in the predictions"
            if let entry = recorded.entries[image] {
                isAnyThere = true
                guard let failure = try take(entry, index, &predictions) else { continue }
                reason = failure
            } else if table.failures[image] != nil {
                isAnyThere = true
            }
            predictions.failures.append(.init(path: item.path, reason: reason))
            rows?.append(path: item.path, task: task, item: item, failure: reason)
        }
        guard isAnyThere else {
            throw FileError(
                path: table.path,
                reason: "none of the \(task.items.count) images of \(task.source) is in it; the first is "
                    + "\(task.items.first?.path.description ?? "")")
        }
        try rows?.flush()
    }
}
