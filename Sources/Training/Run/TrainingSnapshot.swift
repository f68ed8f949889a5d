import Files
import Tensors

/// How far a run has come; together with the classifier's state all that it goes on from.
struct RunState: Equatable, Sendable {
    /// Optimiser steps taken.
    var steps = 0
    /// Of the epoch under way: the sum of the images' losses, how many were given what they show, how many there were.
    var lossSum = 0.0
    var correct = 0
    var seen = 0
    /// The epochs that are over.
    var records: [EpochRecord] = []
    /// That whose parameters are kept.
    var kept: EpochRecord?
}

/// A run at one moment, to the last bit.
package struct TrainingSnapshot: Sendable {
    var state: RunState
    /// The classifier's state.
    var classifier: [(name: String, tensor: Tensor)]
    /// The classifier's parameters after the kept epoch; empty before the first is over.
    var kept: [(name: String, tensor: Tensor)]
}

extension RunState {
    /// The state as JSON; doubles read back to the last bit.
    package var json: JSONObject {
        [
            "steps": .int(steps), "epoch_loss_sum": .double(lossSum), "epoch_correct": .int(correct),
            "epoch_seen": .int(seen), "kept_epoch": kept.map { .int($0.epoch) } ?? .null,
            "curve": .array(records.map(\.json)),
        ]
    }

    /// A state from its JSON; nil if that is not one.
    package init?(_ json: JSONObject) {
        guard let steps = json["steps"]?.intValue, let lossSum = json["epoch_loss_sum"]?.doubleValue,
            let correct = json["epoch_correct"]?.intValue, let seen = json["epoch_seen"]?.intValue,
            let curve = json["curve"]?.arrayValue, let kept = json["kept_epoch"]
        else { return nil }
        let records = curve.compactMap { EpochRecord($0) }
        guard records.count == curve.count, steps >= 0, seen >= 0 else { return nil }
        self.init(
            steps: steps, lossSum: lossSum, correct: correct, seen: seen, records: records,
            kept: records.first { $0.epoch == kept.intValue })
        guard (self.kept == nil) == records.isEmpty else { return nil }
    }
}

extension CheckpointFolder {
    /// Writes a checkpoint in the place of the one before.
    ///
    /// - Throws: `ModelError` or `FileError` when the disk refuses; then the one before is still there.
    package func save(_ snapshot: TrainingSnapshot) throws {
        let tensors =
            snapshot.classifier.map { ("classifier/\($0.name)", $0.tensor) }
            + snapshot.kept.map { ("kept/\($0.name)", $0.tensor) }
        try save(
            CheckpointContent(state: snapshot.state.json, tensors: tensors),
            moment: "\(snapshot.state.steps)-\(snapshot.state.records.count)")
    }

    /// The checkpoint, or nil if there is none.
    ///
    /// - Throws: `ModelError` when it is of another run, naming what differs, or damaged; `FileError`.
    package func load() throws -> TrainingSnapshot? {
        guard let content = try content() else { return nil }
        guard let state = RunState(content.state) else { throw damage("expected the state of a training run") }
        var snapshot = TrainingSnapshot(state: state, classifier: [], kept: [])
        for (name, tensor) in content.tensors {
            if name.hasPrefix("classifier/") {
                snapshot.classifier.append((String(name.dropFirst("classifier/".count)), tensor))
            } else if name.hasPrefix("kept/") {
                snapshot.kept.append((String(name.dropFirst("kept/".count)), tensor))
            } else {
                throw damage("unknown tensor \"\(name)\"")
            }
        }
        guard snapshot.kept.isEmpty == (state.kept == nil) else {
            throw damage("the kept epoch's parameters and its record do not agree")
        }
        return snapshot
    }
}
