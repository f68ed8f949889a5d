package import Files
import Tensors

/// An event of a run.
package enum TrainingEvent: Sendable {
    /// `done` of `of` files are read.
    case reading(done: Int, of: Int)
    /// A file that cannot be decoded is skipped.
    case skipped(path: BytePath, reason: String)
    /// The features of `done` of `of` pictures are computed.
    case features(done: Int, of: Int)
    /// The run resumes after `steps` earlier steps.
    case resumed(steps: Int)
    /// An optimiser step was taken.
    case step(StepReport)
    /// An epoch is over.
    case epoch(EpochRecord, isBest: Bool)
}

/// Receives every event; returns false to stop. A run that is stopped leaves a checkpoint.
package typealias TrainingProgress = (TrainingEvent) -> Bool

/// One optimiser step.
package struct StepReport: Sendable, Equatable {
    /// The epoch, from 1.
    package let epoch: Int
    /// The maximum number of epochs.
    package let epochs: Int
    /// The step, from 1.
    package let step: Int
    /// The maximum number of steps.
    package let steps: Int
    /// The number of images of the step.
    package let images: Int
    /// The learning rate of the step.
    package let learningRate: Double
    /// The mean loss of its images, in nats.
    package let loss: Double
    /// The mean loss of the epoch so far.
    package let epochLoss: Double
    /// The share of the epoch's images so far with a correct prediction.
    package let epochAccuracy: Double
}

/// The results of one epoch.
package struct EpochRecord: Sendable, Equatable {
    /// The epoch, from 1.
    package let epoch: Int
    /// Optimiser steps from the start of the run to the end of the epoch.
    package let steps: Int
    /// The mean loss of the training steps, in nats.
    package let loss: Double
    /// The share of training images with a correct prediction: the class, or exactly the set of labels.
    package let accuracy: Double
    /// The mean cross entropy of the validation images after the epoch, in nats; nil without them.
    package let validationLoss: Double?
    /// The share of validation images with a correct prediction; nil without them.
    package let validationAccuracy: Double?
    /// The mean average precision of the validation images, where images may show several labels.
    package var validationMeanAveragePrecision: Double?
    /// The mean over the classes of the share of their validation images with a correct prediction, where an image
    /// shows one class.
    package var validationBalancedAccuracy: Double?
    /// The class with the smallest such share, and of those with the most images; nil as above.
    package var leastRecalled: ClassRecall?

    /// How many validation images of a class have a correct prediction.
    package struct ClassRecall: Sendable, Equatable {
        /// The class, as an index in the head.
        package let index: Int
        /// Images of the class with a correct prediction.
        package let correct: Int
        /// Images of the class.
        package let images: Int
    }

    /// The criterion: the mean average precision where images may show several labels, else the accuracy, balanced if
    /// the classes are.
    private func score(isBalanced: Bool) -> Double? {
        validationMeanAveragePrecision ?? (isBalanced ? validationBalancedAccuracy : nil) ?? validationAccuracy
    }

    /// Whether this epoch is better than another: a higher validation score, or the same score and a lower loss.
    /// Without validation images, the later epoch is better.
    ///
    /// - Parameter isBalanced: whether every class counts the same.
    package func isBetter(than other: EpochRecord, isBalanced: Bool = false) -> Bool {
        guard let score = score(isBalanced: isBalanced), let loss = validationLoss,
            let otherScore = other.score(isBalanced: isBalanced), let otherLoss = other.validationLoss
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
        object["val_balanced_accuracy"] = validationBalancedAccuracy.map(JSON.double)
        object["val_least_class"] = leastRecalled.map { .array([$0.index, $0.correct, $0.images].map(JSON.int)) }
        return .object(object)
    }
}

extension EpochRecord {
    /// Reads a record from its JSON; nil when that is invalid.
    package init?(_ json: JSON) {
        guard let epoch = json.objectValue?["epoch"]?.intValue, let steps = json.objectValue?["steps"]?.intValue,
            let loss = json.objectValue?["loss"]?.doubleValue,
            let accuracy = json.objectValue?["accuracy"]?.doubleValue
        else { return nil }
        self.init(
            epoch: epoch, steps: steps, loss: loss, accuracy: accuracy,
            validationLoss: json.objectValue?["val_loss"]?.doubleValue,
            validationAccuracy: json.objectValue?["val_accuracy"]?.doubleValue,
            validationMeanAveragePrecision: json.objectValue?["val_map"]?.doubleValue,
            validationBalancedAccuracy: json.objectValue?["val_balanced_accuracy"]?.doubleValue)
        let least = json.objectValue?["val_least_class"]?.arrayValue?.compactMap(\.intValue) ?? []
        if least.count == 3 { leastRecalled = ClassRecall(index: least[0], correct: least[1], images: least[2]) }
    }
}
