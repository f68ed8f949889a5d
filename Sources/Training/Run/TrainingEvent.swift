package import Files
import Tensors

/// What a run tells of as it goes.
package enum TrainingEvent: Sendable {
    /// So many files of so many are read.
    case reading(done: Int, of: Int)
    /// A file that cannot be used is left out.
    case skipped(path: BytePath, reason: String)
    /// So many pictures of so many have their features.
    case features(done: Int, of: Int)
    /// A run goes on that has taken so many steps before.
    case resumed(steps: Int)
    /// An optimiser step was taken.
    case step(StepReport)
    /// An epoch is over.
    case epoch(EpochRecord, isBest: Bool)
}

/// Told of every event; answers whether to go on. A run that is told to stop leaves a checkpoint.
package typealias TrainingProgress = (TrainingEvent) -> Bool

/// One optimiser step.
package struct StepReport: Sendable, Equatable {
    /// The epoch, from 1.
    package let epoch: Int
    /// How many epochs there are at most.
    package let epochs: Int
    /// The step, from 1.
    package let step: Int
    /// How many steps there are at most.
    package let steps: Int
    /// Images of the step.
    package let images: Int
    /// The rate that it was taken with.
    package let learningRate: Double
    /// The mean loss of its images, in nats.
    package let loss: Double
    /// The mean loss of the epoch so far.
    package let epochLoss: Double
    /// The share of the epoch's images so far that was given its class, or all its labels and no others.
    package let epochAccuracy: Double
}

/// What one epoch came to.
package struct EpochRecord: Sendable, Equatable {
    /// Its number, from 1.
    package let epoch: Int
    /// Optimiser steps from the start of the run to its end.
    package let steps: Int
    /// The mean loss over its training images as they were met, in nats.
    package let loss: Double
    /// The share of them that was given its class, or all its labels and no others.
    package let accuracy: Double
    /// The mean cross entropy over the validation images at its end, in nats; nil without them.
    package let validationLoss: Double?
    /// The share of them that was given its class, or all its labels and no others.
    package let validationAccuracy: Double?
    /// The mean average precision of the validation images, where images may show several labels.
    package var validationMeanAveragePrecision: Double?

    /// What epochs are compared by: the mean average precision where images may show several labels, else the accuracy.
    private var score: Double? { validationMeanAveragePrecision ?? validationAccuracy }

    /// Whether this is a better result than another: a higher score on the validation images, or the same and lower
    /// loss. Without validation images the later one is.
    package func isBetter(than other: EpochRecord) -> Bool {
        guard let score, let loss = validationLoss, let otherScore = other.score, let otherLoss = other.validationLoss
        else { return epoch > other.epoch }
        return score > otherScore || (score == otherScore && loss < otherLoss)
    }

    /// The record as `training.json`, checkpoints and logs hold it.
    package var json: JSON {
        var object: JSONObject = [
            "epoch": .int(epoch), "steps": .int(steps), "loss": .double(loss), "accuracy": .double(accuracy),
        ]
        object["val_loss"] = validationLoss.map(JSON.double)
        object["val_accuracy"] = validationAccuracy.map(JSON.double)
        object["val_map"] = validationMeanAveragePrecision.map(JSON.double)
        return .object(object)
    }
}

extension EpochRecord {
    /// A record from its JSON; nil if that is not one.
    package init?(_ json: JSON) {
        guard let epoch = json.objectValue?["epoch"]?.intValue, let steps = json.objectValue?["steps"]?.intValue,
            let loss = json.objectValue?["loss"]?.doubleValue,
            let accuracy = json.objectValue?["accuracy"]?.doubleValue
        else { return nil }
        self.init(
            epoch: epoch, steps: steps, loss: loss, accuracy: accuracy,
            validationLoss: json.objectValue?["val_loss"]?.doubleValue,
            validationAccuracy: json.objectValue?["val_accuracy"]?.doubleValue,
            validationMeanAveragePrecision: json.objectValue?["val_map"]?.doubleValue)
    }
}
