package import Files
import Glibc
import Tensors

/// Which epoch's parameters a run results in.
package enum KeptEpoch: String, Sendable, CaseIterable {
    /// That with the highest accuracy on the validation images, or the highest mean average precision.
    case best
    /// The last. With a falling learning rate it is an average over the steps before, and no choice among many epochs
    /// by few images makes the result depend on chance.
    case last
}

/// How a classifier is trained: everything about a run that changes its result, besides data and model.
package struct RunSettings: Sendable, Equatable {
    /// How often every training image is seen.
    package var epochs = 12
    /// Images of one optimiser step; an epoch's last step may have fewer.
    package var batchSize = 64
    /// The largest learning rate.
    package var learningRate = 3e-3
    /// The part of all steps in which the rate rises.
    package var warmup = 0.05
    /// How the rate goes on after that.
    package var schedule = LearningRateSchedule.Shape.cosine
    /// What order and augmentation are drawn from.
    package var seed: UInt64 = 0
    /// Whether every class counts as much as any other: an image's loss is weighted by images / (classes · images of
    /// its class). Where images may show several labels, each label's presence counts as much as its absence.
    package var balances = false
    /// The most optimiser steps, or nil.
    package var maximumSteps: Int?
    /// Epochs without improvement after which a run ends, or nil.
    package var patience: Int?
    /// Which epoch's parameters are the result.
    package var keeps = KeptEpoch.best

    /// The usual settings of an adapter.
    package init() {}

    /// The usual settings of a head alone.
    package static let headAlone = {
        var settings = RunSettings()
        (settings.epochs, settings.learningRate, settings.keeps) = (120, 1e-2, .last)
        return settings
    }()

    /// How many steps a run over so many images has.
    package func steps(images: Int) -> Int { min(epochs * stepsPerEpoch(images: images), maximumSteps ?? .max) }

    /// How many steps an epoch over so many images has.
    func stepsPerEpoch(images: Int) -> Int { (images + batchSize - 1) / batchSize }

    /// The settings by the names of their options, for the record and to tell whether a checkpoint is of the same run.
    package var json: JSONObject {
        [
            "epochs": .int(epochs), "batch_size": .int(batchSize), "lr": .double(learningRate),
            "warmup": .double(warmup), "schedule": .string(schedule.rawValue), "seed": .number(String(seed)),
            "balance": .bool(balances), "max_steps": maximumSteps.map(JSON.int) ?? .null,
            "early_stop": patience.map(JSON.int) ?? .null, "keep": .string(keeps.rawValue),
        ]
    }
}

/// The learning rate of every step: a linear rise, then a cosine down to zero or a constant.
package struct LearningRateSchedule: Sendable, Equatable {
    /// What comes after the rise.
    package enum Shape: String, Sendable, CaseIterable {
        /// Half a cosine from the peak to zero (Loshchilov and Hutter, arXiv 1608.03983).
        case cosine
        /// The peak.
        case constant
    }

    /// What comes after the rise.
    package let shape: Shape
    /// The largest rate.
    package let peak: Double
    /// Steps of the rise.
    package let warmup: Int
    /// All steps.
    package let steps: Int

    /// A schedule over so many steps, the part `warmup` of which is the rise.
    package init(_ shape: Shape, peak: Double, warmup: Double, steps: Int) {
        (self.shape, self.peak, self.steps) = (shape, peak, steps)
        self.warmup = Int((warmup * Double(steps)).rounded())
    }

    /// The rate of a step, counted from 0.
    package func rate(_ step: Int) -> Double {
        if step < warmup { return peak * Double(step + 1) / Double(warmup) }
        switch shape {
        case .constant: return peak
        case .cosine:
            let part = Double(step - warmup) / Double(max(steps - warmup, 1))
            return peak * 0.5 * (1 + cos(Double.pi * min(part, 1)))
        }
    }
}
