package import Files

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
