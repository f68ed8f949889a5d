import Files
import Tensors

/// The progress of a run. With the classifier's state, it is all that a run resumes from.
struct RunState: Equatable, Sendable {
    /// Optimiser steps taken.
    var steps = 0
    /// Of the current epoch: the sum of the images' losses, the number of correct predictions, the number of images.
    var lossSum = 0.0
    var correct = 0
    var seen = 0
    /// The finished epochs.
    var records: [EpochRecord] = []
    /// The epoch whose parameters are kept.
    var kept: EpochRecord?
}

/// The exact state of a run.
package struct TrainingSnapshot: Sendable {
    var state: RunState
    /// The classifier's state.
    var classifier: [(name: String, tensor: Tensor)]
    /// The classifier's parameters after the kept epoch; empty before the first epoch is finished.
    var kept: [(name: String, tensor: Tensor)]
}

extension RunState {
    /// The state as JSON; doubles read back to the last bit.
    var json: JSONObject {
        [
            "steps": .int(steps), "epoch_loss_sum": .double(lossSum), "epoch_correct": .int(correct),
            "epoch_seen": .int(seen), "kept_epoch": kept.map { .int($0.epoch) } ?? .null,
            "curve": .array(records.map(\.json)),
        ]
    }

    /// Reads a state from its JSON; nil when that is invalid.
    init?(_ json: JSONObject) {
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
    /// Replaces the checkpoint.
    ///
    /// - Throws: `ModelError` or `FileError` when writing fails; the previous checkpoint is then intact.
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
    /// - Throws: `ModelError` when it is damaged or of another run, naming the differences; `FileError`.
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
