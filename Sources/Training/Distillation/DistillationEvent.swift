/// What a distillation tells of as it goes.
package enum DistillationEvent: Sendable {
    /// It resumes after the steps of an earlier run.
    case resumed(steps: Int)
    /// A step was taken.
    case step(DistillationReport)
    /// A step was taken of a merge that is trained for its streams.
    case tokenStep(TokenDistillationReport)
}

/// One step of a distillation.
package struct DistillationReport: Sendable, Equatable {
    /// The step, from 1.
    package let step: Int
    /// How many steps there will be, once that is known.
    package let steps: Int?
    /// The mean over tasks and images of the squared distance of features, in parts of the features' variance.
    package let distance: Double
    /// The mean divergence of the answers from those of the single adapters, in nats.
    package let divergence: Double
    /// The share of images that were given the class that the single adapter gives them.
    package let sameLabel: Double
}

/// One step of a distillation for streams.
package struct TokenDistillationReport: Sendable, Equatable {
    /// The step, from 1.
    package let step: Int
    /// How many steps there will be, once that is known.
    package let steps: Int?
    /// The mean over tasks, images, blocks, tokens and channels of the squared distance of the patch tokens that
    /// streams read from those of the single adapters, as it counts for keys and values.
    package let distance: Double
}
