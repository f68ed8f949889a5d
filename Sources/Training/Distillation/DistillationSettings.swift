package import Adapters

/// How a merge is trained toward the single adapters: the parameters of the merge method `distill`.
struct DistillationSettings: Sendable, Equatable {
    /// Optimiser steps.
    var steps: Int
    /// Images of each task in a step.
    var batch: Int
    /// The largest learning rate.
    var learningRate: Double
    /// How much the divergence of answers counts beside the distance of features.
    var divergenceWeight: Double
    /// What logits are divided by before they are compared.
    var temperature: Double
    /// The rank of what is trained of each weight; 0 trains every element.
    var rank: Int
    /// AdamW's decay of what is trained, which pulls toward the merge that training starts from.
    var weightDecay: Double
    /// What the order of the images and initial values are drawn from.
    var seed: UInt64

    /// The settings of a merge by the method `distill`.
    init(_ settings: MergeSettings) {
        (steps, batch, rank) = (Int(settings["steps"]), Int(settings["batch"]), Int(settings["rank"]))
        (learningRate, weightDecay) = (settings["lr"], settings["decay"])
        (divergenceWeight, temperature, seed) = (settings["kl"], settings["temperature"], settings.seed)
    }

    /// Steps in which the learning rate rises. They do not depend on the number of all steps, so that this may be decided once
    /// it is known how long a step takes.
    static let warmup = 32

    /// The rate of a step, counted from 0: a linear rise, then half a cosine to zero.
    ///
    /// - Parameter total: the number of all steps; it need not be known during the rise.
    func rate(_ step: Int, of total: Int?) -> Double {
        if step < Self.warmup { return learningRate * Double(step + 1) / Double(Self.warmup) }
        let fall = max((total ?? steps) - Self.warmup, 1)
        return LearningRateSchedule(.cosine, peak: learningRate, warmup: 0, steps: fall).rate(step - Self.warmup)
    }
}

extension Augmentation {
    /// The views of calibration images that the merge method `distill` trains on.
    package init(_ settings: MergeSettings) {
        self.init(crops: settings["area"] < 1, flips: settings["flip"] > 0, smallestArea: settings["area"])
    }
}
