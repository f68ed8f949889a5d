package import Files
import Glibc
import Tensors

/// The epoch whose parameters are the result of a run.
package enum EpochChoice: String, Sendable, CaseIterable {
    /// The one with the highest validation accuracy, or mean average precision where images show several labels.
    case best
    /// The last. With a decaying learning rate it is close to an average over earlier steps, and the result does not
    /// depend on a choice among many epochs by few images.
    case last
}

/// The settings of a run that affect its result, besides data and model.
package struct RunSettings: Sendable, Equatable {
    /// The number of passes over the training images.
    package var epochs = 12
    /// Images of one optimiser step; an epoch's last step may have fewer.
    package var batchSize = 64
    /// The peak learning rate.
    package var learningRate = 3e-3
    /// The warmup as a share of all steps.
    package var warmup = 0.05
    /// The learning rate after the warmup.
    package var schedule = LearningRateSchedule.Shape.cosine
    /// The seed of order and augmentation.
    package var seed: UInt64 = 0
    /// Whether classes are balanced: an image's loss is weighted by images / (classes · images of its class). Where
    /// images may show several labels, each label's presence and absence are balanced.
    package var balances = false
    /// The maximum number of optimiser steps, or nil.
    package var maximumSteps: Int?
    /// Epochs without improvement after which a run ends, or nil.
    package var patience: Int?
    /// The epoch whose parameters are the result.
    package var keeps = EpochChoice.best

    /// The defaults for an adapter.
    package init() {}

    /// The defaults for a head alone.
    package static let headAlone = {
        var settings = RunSettings()
        (settings.epochs, settings.learningRate, settings.keeps) = (120, 1e-2, .last)
        return settings
    }()

    /// The number of steps of a run over `images` images.
    package func steps(images: Int) -> Int { min(epochs * stepsPerEpoch(images: images), maximumSteps ?? .max) }

    /// The number of steps of an epoch over `images` images.
    func stepsPerEpoch(images: Int) -> Int { (images + batchSize - 1) / batchSize }

    /// The settings by option name, for `training.json` and checkpoints.
    package var json: JSONObject {
        [
            "epochs": .int(epochs), "batch_size": .int(batchSize), "lr": .double(learningRate),
            "warmup": .double(warmup), "schedule": .string(schedule.rawValue), "seed": .number(String(seed)),
            "balance": .bool(balances), "max_steps": maximumSteps.map(JSON.int) ?? .null,
            "early_stop": patience.map(JSON.int) ?? .null, "keep": .string(keeps.rawValue),
        ]
    }
}

/// The learning rate of every step: a linear warmup, then a cosine decay to zero or a constant.
package struct LearningRateSchedule: Sendable, Equatable {
    /// The shape after the warmup.
    package enum Shape: String, Sendable, CaseIterable {
        /// Half a cosine from the peak to zero (Loshchilov and Hutter, arXiv 1608.03983).
        case cosine
        /// The peak.
        case constant
    }

    /// The shape after the warmup.
    package let shape: Shape
    /// The largest rate.
    package let peak: Double
    /// The number of warmup steps.
    package let warmup: Int
    /// The number of all steps.
    package let steps: Int

    /// A schedule; `warmup` is a share of `steps`.
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
