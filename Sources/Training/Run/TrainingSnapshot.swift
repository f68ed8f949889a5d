import Tensors

/// How far a run has come; together with the classifier's state all that it goes on from.
struct RunState: Equatable, Sendable {
    /// Optimiser steps taken.
    var steps = 0
    /// Of the epoch under way: the sum of the images' losses, how many were given their class, how many there were.
    var lossSum = 0.0
    var correct = 0
    var seen = 0
    /// The epochs that are over.
    var records: [EpochRecord] = []
    /// The best of them.
    var best: EpochRecord?
}

/// A run at one moment, to the last bit.
public struct TrainingSnapshot: Sendable {
    var state: RunState
    /// The classifier's state.
    var classifier: [(name: String, tensor: Tensor)]
    /// The classifier's parameters after the best epoch; empty before the first is over.
    var best: [(name: String, tensor: Tensor)]
}

extension RunState {
    /// The state as JSON; doubles read back to the last bit.
    var json: JSONObject {
        [
            "steps": .int(steps), "epoch_loss_sum": .double(lossSum), "epoch_correct": .int(correct),
            "epoch_seen": .int(seen), "best_epoch": best.map { .int($0.epoch) } ?? .null,
            "curve": .array(records.map(\.json)),
        ]
    }

    /// A state from its JSON; nil if that is not one.
    init?(_ json: JSONObject) {
        guard let steps = json["steps"]?.intValue, let lossSum = json["epoch_loss_sum"]?.doubleValue,
            let correct = json["epoch_correct"]?.intValue, let seen = json["epoch_seen"]?.intValue,
            let curve = json["curve"]?.arrayValue, let best = json["best_epoch"]
        else { return nil }
        let records = curve.compactMap { EpochRecord($0) }
        guard records.count == curve.count, steps >= 0, seen >= 0 else { return nil }
        self.init(
            steps: steps, lossSum: lossSum, correct: correct, seen: seen, records: records,
            best: records.first { $0.epoch == best.intValue })
        guard (self.best == nil) == records.isEmpty else { return nil }
    }
}
