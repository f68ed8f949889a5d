/// What a distillation tells of as it goes.
public enum DistillationEvent: Sendable {
    /// It goes on after so many steps that were taken before.
    case resumed(steps: Int)
    /// A step was taken.
    case step(DistillationReport)
}

/// One step of a distillation.
public struct DistillationReport: Sendable, Equatable {
    /// The step, from 1.
    public let step: Int
    /// How many steps there will be, once that is known.
    public let steps: Int?
    /// The mean over tasks and images of the squared distance of features, in parts of the features' variance.
    public let distance: Double
    /// The mean divergence of the answers from those of the single adapters, in nats.
    public let divergence: Double
    /// The share of images that were given the class that the single adapter gives them.
    public let sameLabel: Double
}
