public import Tensors

/// What one epoch came to.
public struct EpochRecord: Sendable, Equatable {
    /// Its number, from 1.
    public let epoch: Int
    /// Optimiser steps from the start of the run to its end.
    public let steps: Int
    /// The mean loss over its training images as they were met, in nats.
    public let loss: Double
    /// How many of 1 of them were given their class.
    public let accuracy: Double
    /// The mean cross entropy over the validation images at its end, in nats; nil without them.
    public let validationLoss: Double?
    /// How many of 1 of them were given their class.
    public let validationAccuracy: Double?

    /// Whether this is a better result than another: higher accuracy on the validation images, or the same and lower loss.
    /// Without validation images the later one is.
    func isBetter(than other: EpochRecord) -> Bool {
        guard let accuracy = validationAccuracy, let loss = validationLoss,
            let otherAccuracy = other.validationAccuracy, let otherLoss = other.validationLoss
        else { return epoch > other.epoch }
        return accuracy > otherAccuracy || (accuracy == otherAccuracy && loss < otherLoss)
    }

    /// The record as `training.json`, checkpoints and logs hold it.
    public var json: JSON {
        var object: JSONObject = [
            "epoch": .int(epoch), "steps": .int(steps), "loss": .double(loss), "accuracy": .double(accuracy),
        ]
        object["val_loss"] = validationLoss.map(JSON.double)
        object["val_accuracy"] = validationAccuracy.map(JSON.double)
        return .object(object)
    }
}

extension EpochRecord {
    /// A record from its JSON; nil if that is not one.
    init?(_ json: JSON) {
        guard let epoch = json.objectValue?["epoch"]?.intValue, let steps = json.objectValue?["steps"]?.intValue,
            let loss = json.objectValue?["loss"]?.doubleValue,
            let accuracy = json.objectValue?["accuracy"]?.doubleValue
        else { return nil }
        self.init(
            epoch: epoch, steps: steps, loss: loss, accuracy: accuracy,
            validationLoss: json.objectValue?["val_loss"]?.doubleValue,
            validationAccuracy: json.objectValue?["val_accuracy"]?.doubleValue)
    }
}
