package import Datasets
package import Evaluation
import Files
package import Labelling

/// The images of some tasks in the order in which a model sees them. Every file occurs once, even if several tasks use
/// it.
package struct EvaluationPlan: Sendable {
    /// The tasks.
    package let tasks: [EvaluationTask]
    /// The files, in the order of the tasks.
    package let source: InputSource
    /// For each file, its uses: indices of tasks and of items in these tasks.
    fileprivate let uses: [[(task: Int, item: Int)]]
    /// For each task, the minimum probability of a label where images show several.
    fileprivate let thresholds: [Double]

    /// Plans a run over some tasks.
    ///
    /// - Parameter thresholds: the minimum probability of a label by task; the default for tasks that are not named.
    package init(_ tasks: [EvaluationTask], thresholds: [String: Double] = [:]) {
        var indexByPath: [BytePath: Int] = [:]
        var files: [BytePath] = []
        var uses: [[(task: Int, item: Int)]] = []
        for (task, evaluated) in tasks.enumerated() {
            for (index, item) in evaluated.items.enumerated() {
                if let file = indexByPath[item.path] {
                    uses[file].append((task, index))
                } else {
                    indexByPath[item.path] = files.count
                    files.append(item.path)
                    uses.append([(task, index)])
                }
            }
        }
        self.tasks = tasks
        self.uses = uses
        self.thresholds = tasks.map { thresholds[$0.name] ?? RowOptions.sigmoidThreshold }
        source = InputSource(files: files)
    }
}

/// Predicts the images of some tasks, as `label` does: files are decoded on `options.threads` threads while the model
/// runs on the calling one. Each image passes the model once for all of its tasks.
///
/// - Parameter rows: receives every prediction, if given.
/// - Returns: the predictions of each task, in the order of the plan, and the number of files. Files that cannot be
///   decoded are among a task's failures.
/// - Throws: `LabellingError` when the model lacks one of the tasks, or the model or the output fails.
package func evaluate(
    _ plan: EvaluationPlan, preparer: any ImagePreparing, classifier: any MultitaskClassifying,
    rows: PredictionRows? = nil, options: LabellingOptions, progress: (LabellingProgress) -> Void = { _ in }
) throws -> (predictions: [TaskPredictions], progress: LabellingProgress) {
    let sink = try EvaluationSink(plan, classifier.tasks, rows)
    let end = try LabellingPipeline(preparer: preparer, classifier: classifier, options: options).run(
        InputLister(plan.source), sink: sink, progress: progress)
    return (sink.predictions, end)
}

/// Collects the predictions of a run by task.
private final class EvaluationSink: PredictionSink {
    private(set) var predictions: [TaskPredictions]
    private let plan: EvaluationPlan
    private let rows: PredictionRows?
    /// The range of each task's logits in those of all tasks of the model.
    private let ranges: [Range<Int>]
    /// The place of each task's fit among the outputs, if it has one.
    private let fits: [Int?]
    private var next = 0
    private var ranked = RankedClasses()

    init(_ plan: EvaluationPlan, _ tasks: [TaskLabels], _ rows: PredictionRows?) throws {
        var known: [String: (task: TaskLabels, logits: Range<Int>)] = [:]
        var start = 0
        for task in tasks {
            known[task.name] = (task, start..<start + task.classes.count)
            start += task.classes.count
        }
        var ranges: [Range<Int>] = []
        for task in plan.tasks {
            guard let found = known[task.name], found.logits.count == task.classes.count,
                found.task.activation == task.activation
            else { throw UnknownTask(task.name, tasks: tasks.map(\.name)) }
            ranges.append(found.logits)
        }
        self.ranges = ranges
        fits = plan.tasks.map { tasks.fitPlace(of: $0.name) }
        self.plan = plan
        self.rows = rows
        predictions = zip(plan.tasks, plan.thresholds).map { TaskPredictions(to: $0, threshold: $1) }
        for (index, place) in fits.enumerated() where place != nil {
            predictions[index].fits = Array(repeating: nil, count: plan.tasks[index].items.count)
        }
    }

    func appendFailure(path: [UInt8], reason: String) {
        for use in plan.uses[next] { fail(use, reason) }
        next += 1
    }

    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome {
        defer { next += 1 }
        var outcome = PredictionOutcome.accepted
        for use in plan.uses[next] {
            let task = plan.tasks[use.task]
            let item = task.items[use.item]
            let own = UnsafeBufferPointer(rebasing: logits[ranges[use.task]])
            guard own.allSatisfy(\.isFinite), store(use, item, task, own) else {
                fail(use, InputFailure.notFinite.reason)
                outcome = .failed(.notFinite)
                continue
            }
            if let place = fits[use.task] { predictions[use.task].fits[use.item] = Double(logits[place]) }
        }
        for (task, place) in fits.enumerated() where !plan.uses[next].contains(where: { $0.task == task }) {
            if let place { predictions[task].fitsOfOthers.append(Double(logits[place])) }
        }
        return outcome
    }

    /// Stores an image's prediction; false when there is none.
    private func store(
        _ use: (task: Int, item: Int), _ item: EvaluationTask.Item, _ task: EvaluationTask,
        _ logits: UnsafeBufferPointer<Float>
    ) -> Bool {
        switch task.truths {
        case .classes:
            guard let prediction = Prediction(truth: item.truth, logits: logits) else { return false }
            predictions[use.task].classes[use.item] = prediction
            guard let rows else { return true }
            ranked.rank(logits, count: PredictionRows.classesShown, scores: .prob, threshold: nil)
            let scores = ranked.scores
            rows.append(
                path: item.path, task: task, item: item, prediction: prediction,
                best: ranked.ranks.lazy.map { (class: $0, score: scores[$0]) }, trueScore: scores[item.truth])
        case .labels(let sets):
            ranked.pick(logits, scores: .prob, threshold: plan.thresholds[use.task])
            let prediction = LabelPrediction(
                truth: sets[item.truth], predicted: ranked.ranks.sorted(), scores: ranked.scores)
            predictions[use.task].labels[use.item] = prediction
            rows?.append(path: item.path, task: task, item: item, prediction: prediction)
        case .values(let values):
            let prediction = ValuePrediction(truth: values[item.truth], predicted: logits.map(Double.init))
            predictions[use.task].values[use.item] = prediction
            rows?.append(path: item.path, task: task, item: item, prediction: prediction)
        }
        return true
    }

    func flush(_ progress: LabellingProgress) throws { try rows?.flush() }

    private func fail(_ use: (task: Int, item: Int), _ reason: String) {
        let task = plan.tasks[use.task]
        let item = task.items[use.item]
        predictions[use.task].failures.append(.init(path: item.path, reason: reason))
        rows?.append(path: item.path, task: task, item: item, failure: reason)
    }
}
