import Glibc
import Tensors
import VisionTransformers

/// The predictions of one task of a predictions file, with what its scores mean.
struct ScoredTask {
    /// What a file says of one image.
    enum ScoredEntry {
        case scored(Prediction, best: [(class: Int, score: Double?)], trueScore: Double?)
        case withheld
        case unknownLabel(String)
    }

    /// The classes that predictions are indices of.
    let classes: [String]
    /// How many of the best predictions every image has.
    let ranksKnown: Int
    /// The metrics that cannot be computed, and why. These sentences are part of the format of metrics.json, so they
    /// name the options of `label` that write more scores.
    let missing: [String]
    private let indexByClass: [String: Int]
    private let meaning: Meaning
    private let hasEveryScore: Bool

    private enum Meaning { case probabilities, logits, none }

    init(_ task: PredictionsTable.Task, isLong: Bool, dataClasses: [String]) {
        let entries = task.entries.values
        let labels = Set(entries.lazy.flatMap(\.labels))
        // A long file with all scores has a rank for every class: all images name the same classes, the data's among
        // them.
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
        indexByClass = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        ranksKnown = hasEveryScore ? .max : entries.map(\.labels.count).filter { $0 > 0 }.min() ?? 0
        meaning = ScoredTask.meaning(of: task, isComplete: hasEveryScore)
        var missing: [String] = []
        if !hasEveryScore {
            missing.append("log loss needs the scores of all classes: label with --all-scores")
            missing.append(
                "the head's classes are not known, those of the data and of the answers are taken: label with "
                    + "--all-scores"
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

    /// Probabilities are between 0 and 1; those of all classes sum to 1 up to rounding, those of fewer to less.
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

    func prediction(_ entry: PredictionsTable.Entry, truth: Int) -> ScoredEntry {
        var ranked: [Int] = []
        for label in entry.labels {
            guard let place = indexByClass[label] else { return .unknownLabel(label) }
            ranked.append(place)
        }
        if hasEveryScore { return complete(entry, ranked, truth) }
        guard let predicted = ranked.first else { return .withheld }
        let scores = meaning == .probabilities ? entry.scores : ranked.map { _ in nil }
        let rank = ranked.firstIndex(of: truth)
        let prediction = Prediction(
            truth: truth, predicted: predicted, rank: rank.map { $0 + 1 }, confidence: scores[0], logLoss: nil)
        return .scored(prediction, best: Array(zip(ranked, scores)), trueScore: rank.flatMap { scores[$0] })
    }

    /// A prediction from the scores of all classes. If two are equal in six decimals, the label in the file decides.
    private func complete(_ entry: PredictionsTable.Entry, _ ranked: [Int], _ truth: Int) -> ScoredEntry {
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
        guard let prediction = Prediction(truth: truth, probabilities: scores) else { return .withheld }
        let predicted = ranked.first ?? prediction.predicted
        var order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        order.removeAll { $0 == predicted }
        order.insert(predicted, at: 0)
        let rank = order.firstIndex(of: truth).map { $0 + 1 }
        return .scored(
            Prediction(
                truth: truth, predicted: predicted, rank: rank, confidence: scores[predicted],
                logLoss: prediction.logLoss),
            best: order.map { ($0, scores[$0]) }, trueScore: scores[truth])
    }
}

/// The predictions of one task of a predictions file whose head has a sigmoid.
struct LabelledTask {
    /// The classes that predictions are indices of.
    let classes: [String]
    /// The metrics that cannot be computed, and why, as metrics.json has them.
    let missing: [String]
    /// Whether the scores of all classes are known.
    let hasEveryScore: Bool
    /// The minimum probability of a label; nil where the labels are those in the file.
    let threshold: Double?
    private let indexByClass: [String: Int]
    private let areProbabilities: Bool

    /// - Parameter threshold: the minimum probability of a label; nil to take the labels in the file. A long file with
    ///   all scores does not tell which labels were predicted; the default threshold applies then.
    init(_ task: PredictionsTable.Task, isLong: Bool, dataClasses: [String], threshold: Double?) {
        let entries = task.entries.values
        let labels = Set(entries.lazy.flatMap(\.labels))
        // A long file with all scores has a rank for every class: all images name the same classes, the data's among
        // them.
        let listsAll =
            isLong && !labels.isEmpty && dataClasses.allSatisfy(labels.contains)
            && entries.allSatisfy { $0.labels.count == labels.count && !$0.scores.contains(nil) }
        hasEveryScore = !task.classes.isEmpty || listsAll
        classes =
            !task.classes.isEmpty
            ? task.classes
            : labels.union(dataClasses).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        indexByClass = Dictionary(classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
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
    func unknownLabel(_ entry: PredictionsTable.Entry) -> String? { entry.labels.first { indexByClass[$0] == nil } }

    /// The prediction of an entry.
    func prediction(_ entry: PredictionsTable.Entry, truth: [Int]) -> LabelPrediction {
        let given = entry.labels.compactMap { indexByClass[$0] }
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
