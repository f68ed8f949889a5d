import Glibc

/// Answers that `label` wrote earlier, to be measured without a model.
///
/// How much can be measured depends on what was written: `--all-scores` has all, the best answer's probability is enough for
/// calibration, labels alone give accuracy and F1.
public struct PredictionsFile {
    private let table: PredictionsTable
    private let folder: BytePath

    /// Reads a CSV or TSV, wide or long.
    ///
    /// - Throws: `LabellingError.predictions` naming the line where it is not what `label` writes.
    public init(_ path: BytePath) throws(LabellingError) {
        folder = try BytePath.currentFolder()
        table = try PredictionsTable(path, in: folder)
    }

    /// The names of the tasks in it.
    public var tasks: [String] { table.tasks.map(\.name) }

    /// The answers to the images of a task. Images are matched by their absolute paths, in which links are not looked at.
    ///
    /// The classes are those that have scores. Without `--all-scores` the head's classes are not known; then they are those
    /// of the data and of the answers, in byte order.
    ///
    /// - Parameter rows: where every answer is written, if anywhere.
    /// - Returns: the task with the classes that are known, and its answers. An image that has no row is among the failures.
    /// - Throws: `LabellingError.unknownTask`; `LabellingError.predictions` when a label is not among the classes, or not one
    ///   of the images is in the file.
    public func answers(
        to name: String, images: LabelledImages, rows: AnswerRows? = nil
    ) throws(LabellingError) -> (task: EvaluationTask, answers: TaskAnswers) {
        guard let given = table.tasks.first(where: { $0.name == name }) else {
            throw .unknownTask(name: name, known: tasks)
        }
        let answered = ScoredTask(given, isLong: table.isLong, dataClasses: images.classes)
        let task = try EvaluationTask(name: name, classes: answered.classes, images: images)
        var answers = TaskAnswers(count: task.items.count)
        answers.ranksKnown = answered.ranksKnown
        answers.missing = answered.missing
        var isAnyThere = false
        for (index, item) in task.items.enumerated() {
            let image = item.path.normalized(in: folder)
            var reason = table.failures[image] ?? "no row in the predictions"
            if let entry = given.entries[image] {
                isAnyThere = true
                switch answered.answer(entry, truth: item.truth) {
                case .unknownLabel(let label):
                    throw .predictions(
                        path: table.path,
                        reason: "\(item.path): the label \"\(label)\" is none of the classes that have scores")
                case .withheld: reason = "its label was withheld (below the threshold)"
                case .scored(let answer, let best, let trueScore):
                    answers.answers[index] = answer
                    rows?.append(
                        path: item.path, task: task, truth: item.truth, answer: .success(answer), best: best,
                        trueScore: trueScore)
                    continue
                }
            } else if table.failures[image] != nil {
                isAnyThere = true
            }
            answers.failures.append(.init(path: item.path, reason: reason))
            rows?.append(
                path: item.path, task: task, truth: item.truth, answer: .failure(ReasonForNone(reason: reason)),
                best: [], trueScore: nil)
        }
        guard isAnyThere else {
            throw .predictions(
                path: table.path,
                reason: "none of the \(task.items.count) images of \(task.source) is in it; the first is "
                    + "\(task.items.first?.path.description ?? "")")
        }
        try rows?.flush()
        return (task, answers)
    }
}

/// The answers of one task of a predictions file, with what its scores mean.
private struct ScoredTask {
    /// What a file says of one image.
    enum Answer {
        case scored(ScoredAnswer, best: [(class: Int, score: Double?)], trueScore: Double?)
        case withheld
        case unknownLabel(String)
    }

    /// The classes that answers are indexed by.
    let classes: [String]
    /// How many of the best answers every image has.
    let ranksKnown: Int
    /// What cannot be computed, and why.
    let missing: [String]
    private let places: [String: Int]
    private let meaning: Meaning
    private let hasEveryScore: Bool

    private enum Meaning { case probabilities, logits, none }

    init(_ task: PredictionsTable.Task, isLong: Bool, dataClasses: [String]) {
        let entries = task.entries.values
        let labels = Set(entries.lazy.flatMap(\.labels))
        // In a long file every class is a rank; then all images name the same classes, those of the data among them.
        let listsAll =
            isLong && labels.count > 1 && dataClasses.contains(where: labels.contains)
            && entries.allSatisfy { $0.labels.count == labels.count && !$0.scores.contains(nil) }
        hasEveryScore = !task.classes.isEmpty || listsAll
        func byBytes(_ names: some Sequence<String>) -> [String] {
            names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
        classes =
            !task.classes.isEmpty
            ? task.classes : byBytes(listsAll ? labels : labels.union(dataClasses))
        places = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        ranksKnown = hasEveryScore ? .max : entries.map(\.labels.count).filter { $0 > 0 }.min() ?? 0
        meaning = ScoredTask.meaning(of: task, isComplete: hasEveryScore)
        var missing: [String] = []
        if !hasEveryScore {
            missing.append("log loss needs the scores of all classes: label with --all-scores")
            missing.append(
                "the head's classes are not known, those of the data and of the answers are taken: label with --all-scores"
            )
            if classes.count > 5, ranksKnown < 5 {
                missing.append("top-5 needs five answers for each image: label with --all-scores or --top-k 5")
            }
            switch meaning {
            case .probabilities: break
            case .logits: missing.append("calibration error needs probabilities, these scores are logits")
            case .none: missing.append("calibration error needs the probability of the best class: label with scores")
            }
        }
        self.missing = missing
    }

    /// Probabilities lie within 0 and 1; those of all classes have the sum 1 but for their rounding, others less.
    private static func meaning(of task: PredictionsTable.Task, isComplete: Bool) -> Meaning {
        let entries = task.entries.values
        let given = entries.lazy.map { task.classes.isEmpty ? $0.scores.compactMap(\.self) : $0.everyScore }
        guard given.contains(where: { !$0.isEmpty }) else { return .none }
        if !isComplete, entries.contains(where: { $0.scores.contains(nil) }) { return .none }
        let areProbabilities = given.allSatisfy { scores in
            let slack = 1e-6 * Double(scores.count + 1)
            let sum = scores.reduce(0, +)
            return scores.allSatisfy { (0...1).contains($0) } && sum <= 1 + slack
                && (!isComplete || scores.isEmpty || sum >= 1 - slack)
        }
        return areProbabilities ? .probabilities : .logits
    }

    func answer(_ entry: PredictionsTable.Entry, truth: Int) -> Answer {
        var ranked: [Int] = []
        for label in entry.labels {
            guard let place = places[label] else { return .unknownLabel(label) }
            ranked.append(place)
        }
        if hasEveryScore { return complete(entry, ranked, truth) }
        guard let predicted = ranked.first else { return .withheld }
        let scores = meaning == .probabilities ? entry.scores : ranked.map { _ in nil }
        let rank = ranked.firstIndex(of: truth)
        let answer = ScoredAnswer(
            truth: truth, predicted: predicted, rank: rank.map { $0 + 1 }, confidence: scores[0], logLoss: nil)
        return .scored(answer, best: Array(zip(ranked, scores)), trueScore: rank.flatMap { scores[$0] })
    }

    /// An answer with the scores of all classes. Where two have the same, written with six decimals, the label decides.
    private func complete(_ entry: PredictionsTable.Entry, _ ranked: [Int], _ truth: Int) -> Answer {
        var scores = entry.everyScore
        if scores.isEmpty {
            scores = Array(repeating: 0, count: classes.count)
            for (place, score) in zip(ranked, entry.scores) { scores[place] = score ?? 0 }
        }
        if meaning == .logits {
            let maximum = scores.max() ?? 0
            let powers = scores.map { exp($0 - maximum) }
            let total = powers.reduce(0, +)
            scores = powers.map { $0 / total }
        }
        guard let answer = ScoredAnswer(truth: truth, probabilities: scores) else { return .withheld }
        let predicted = ranked.first ?? answer.predicted
        var order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        order.removeAll { $0 == predicted }
        order.insert(predicted, at: 0)
        let rank = order.firstIndex(of: truth).map { $0 + 1 }
        return .scored(
            ScoredAnswer(
                truth: truth, predicted: predicted, rank: rank, confidence: scores[predicted],
                logLoss: answer.logLoss),
            best: order.map { ($0, scores[$0]) }, trueScore: scores[truth])
    }
}
