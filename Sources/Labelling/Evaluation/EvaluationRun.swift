/// The images of some tasks in the order in which a model sees them: every file once, whatever the number of tasks that
/// it belongs to.
public struct EvaluationPlan: Sendable {
    /// The tasks.
    public let tasks: [EvaluationTask]
    /// The files, in the order of the tasks.
    public let source: InputSource
    /// For each file, the items that it is: the places of their tasks, and theirs in the tasks.
    fileprivate let uses: [[(task: Int, item: Int)]]

    /// Plans a run over some tasks.
    public init(_ tasks: [EvaluationTask]) {
        var places: [BytePath: Int] = [:]
        var files: [BytePath] = []
        var uses: [[(task: Int, item: Int)]] = []
        for (task, evaluated) in tasks.enumerated() {
            for (index, item) in evaluated.items.enumerated() {
                if let place = places[item.path] {
                    uses[place].append((task, index))
                } else {
                    places[item.path] = files.count
                    files.append(item.path)
                    uses.append([(task, index)])
                }
            }
        }
        self.tasks = tasks
        self.uses = uses
        source = InputSource(files: files)
    }
}

/// Lets a model answer for the images of some tasks, as `label` does: files are decoded on `options.threads` threads while
/// the model answers on the calling one. An image passes once, and each of its tasks takes what its head says.
///
/// - Parameters:
///   - rows: where every answer is written, if anywhere.
/// - Returns: the answers of each task, in the order of the plan, and how many files there were. Files that cannot be used
///   are among a task's failures.
/// - Throws: `LabellingError` when the model has not one of the tasks, or the model or the output fails.
public func evaluate(
    _ plan: EvaluationPlan, preparer: any ImagePreparing, classifier: any MultitaskClassifying,
    rows: AnswerRows? = nil, options: LabellingOptions, progress: (LabellingProgress) -> Void = { _ in }
) throws(LabellingError) -> (answers: [TaskAnswers], progress: LabellingProgress) {
    let sink = try EvaluationSink(plan, classifier.tasks, rows)
    let end = try answer(
        InputLister(plan.source), preparer: preparer, classifier: classifier, sink: sink, options: options,
        progress: progress)
    return (sink.answers, end)
}

/// Takes the answers of a run apart for the tasks.
private final class EvaluationSink: AnswerSink {
    private(set) var answers: [TaskAnswers]
    private let plan: EvaluationPlan
    private let rows: AnswerRows?
    /// Where each task's logits stand among those of all tasks of the model.
    private let ranges: [Range<Int>]
    private var next = 0
    private var ranked = TaskAnswer()

    init(_ plan: EvaluationPlan, _ tasks: [TaskLabels], _ rows: AnswerRows?) throws(LabellingError) {
        var known: [String: Range<Int>] = [:]
        var start = 0
        for task in tasks {
            known[task.name] = start..<start + task.classes.count
            start += task.classes.count
        }
        var ranges: [Range<Int>] = []
        for task in plan.tasks {
            guard let range = known[task.name], range.count == task.classes.count else {
                throw .unknownTask(name: task.name, known: tasks.map(\.name))
            }
            ranges.append(range)
        }
        self.ranges = ranges
        self.plan = plan
        self.rows = rows
        answers = plan.tasks.map { TaskAnswers(count: $0.items.count) }
    }

    func appendFailure(path: [UInt8], reason: String) {
        for use in plan.uses[next] { fail(use, reason) }
        next += 1
    }

    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> RowWriter.Outcome {
        defer { next += 1 }
        var outcome = RowWriter.Outcome.labelled
        for use in plan.uses[next] {
            let task = plan.tasks[use.task]
            let item = task.items[use.item]
            let own = UnsafeBufferPointer(rebasing: logits[ranges[use.task]])
            guard let answer = ScoredAnswer(truth: item.truth, logits: own) else {
                fail(use, RowWriter.notFiniteReason)
                outcome = .notFinite
                continue
            }
            answers[use.task].answers[use.item] = answer
            guard let rows else { continue }
            ranked.rank(own, count: AnswerRows.answersShown, scores: .prob, threshold: nil)
            let scores = ranked.scores
            rows.append(
                path: item.path, task: task, truth: item.truth, answer: .success(answer),
                best: ranked.ranks.lazy.map { (class: $0, score: scores[$0]) }, trueScore: scores[item.truth])
        }
        return outcome
    }

    func flush(_ progress: LabellingProgress) throws(LabellingError) { try rows?.flush() }

    private func fail(_ use: (task: Int, item: Int), _ reason: String) {
        let task = plan.tasks[use.task]
        let item = task.items[use.item]
        answers[use.task].failures.append(.init(path: item.path, reason: reason))
        rows?.append(
            path: item.path, task: task, truth: item.truth, answer: .failure(ReasonForNone(reason: reason)), best: [],
            trueScore: nil)
    }
}
