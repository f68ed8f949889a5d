/// How a merge is made: by a method and, if it is distilled, by training afterwards.
package struct MergePlan: Sendable, Equatable {
    /// The merge, which is all, or what distillation starts from.
    package var merge: ConfiguredMethod
    /// How the merge is trained afterwards, or nil.
    package var distillation: DistillationSettings?
    /// How tasks get streams over the merge, or nil where all heads read its own tokens.
    package var streams: StreamSettings?

    /// A plan.
    package init(
        merge: ConfiguredMethod, distillation: DistillationSettings? = nil, streams: StreamSettings? = nil
    ) {
        (self.merge, self.distillation, self.streams) = (merge, distillation, streams)
    }

    /// Whether it needs unlabelled images.
    package var usesImages: Bool { distillation != nil || merge.method.usesImages }
}

/// How task streams are made.
package struct StreamSettings: Sendable, Equatable {
    /// The rank of token maps.
    package var rank: Int

    /// Settings; the rank is 64 unless given.
    package init(rank: Int = StreamSettings.defaultRank) { self.rank = rank }

    /// The rank unless given.
    package static let defaultRank = 64
}

/// How a merge is distilled: trained until it answers each task's images as that task's single adapter does. A merge
/// with streams is trained until the patch tokens that they read are those of the single adapters, as far as token maps
/// can tell. The training itself is `Distillation` in the module Training.
package struct DistillationSettings: Sendable, Equatable {
    /// What distillation is called on the command line and in recipes, where it takes the place of a method.
    package static let name = "distill"
    /// What it computes, in one line.
    package static let formula =
        "ΔW = ΔW₀ + D, D = argmin Σ_t E ‖f - f_t‖² / var f_t + kl · T² · KL(p_t ‖ p), ΔW₀ of the merge before it"
    /// Where it comes from.
    package static let source = "Hinton et al., Distilling the Knowledge in a Neural Network, 2015 (arXiv 1503.02531)"

    private static let steps = TypedParameter<Int>.count("steps", default: 1200, in: 0...1_000_000, "optimiser steps")
    private static let batch = TypedParameter<Int>.count(
        "batch", default: 8, in: 1...4096, "images of each task in a step")
    private static let learningRate = TypedParameter<Double>.number(
        "lr", default: 3e-4, in: 0...1, isAboveLower: true, "largest learning rate of AdamW")
    private static let divergenceWeight = TypedParameter<Double>.number(
        "kl", default: 1, in: 0...1000, "weight of the predictions' divergence beside the features' distance")
    private static let temperature = TypedParameter<Double>.number(
        "temperature", default: 2, in: 0...100, isAboveLower: true, "T, by which logits are divided")
    private static let rank = TypedParameter<Int?>.count(
        "rank", unlessSet: "every element of a weight", in: 1...65536, absentInVersion1: 0, "rank of D")
    private static let weightDecay = TypedParameter<Double>.number(
        "decay", default: 0.01, in: 0...1000, "weight decay of D")
    private static let smallestArea = TypedParameter<Double>.number(
        "area", default: 0.5, in: 0...1, isAboveLower: true, "smallest share of an image that a view shows")
    private static let flips = TypedParameter<Bool>.flag("flip", default: true, "mirror every second view")

    /// Its parameters.
    package static let parameters = [
        steps.parameter, batch.parameter, learningRate.parameter, divergenceWeight.parameter, temperature.parameter,
        rank.parameter, weightDecay.parameter, smallestArea.parameter, flips.parameter,
    ]

    /// The values of the parameters.
    package let values: ParameterValues
    /// What the order of the images, their views and initial values are drawn from.
    package let seed: UInt64

    /// The values that are set, and defaults for the rest.
    ///
    /// - Throws: `ParameterError` naming a value that is out of range, or a name that no parameter has.
    package init(_ given: [String: MergeParameter.Value] = [:], seed: UInt64 = 0) throws(ParameterError) {
        values = try ParameterValues(given, for: Self.parameters, of: Self.name)
        self.seed = seed
    }

    private init(_ values: ParameterValues, seed: UInt64) { (self.values, self.seed) = (values, seed) }

    /// Optimiser steps.
    package var steps: Int { values[Self.steps] }
    /// Images of each task in a step.
    package var batch: Int { values[Self.batch] }
    /// The largest learning rate.
    package var learningRate: Double { values[Self.learningRate] }
    /// How much the divergence of predictions counts beside the distance of features.
    package var divergenceWeight: Double { values[Self.divergenceWeight] }
    /// What logits are divided by before they are compared.
    package var temperature: Double { values[Self.temperature] }
    /// The rank of what is trained of each weight; nil trains every element.
    package var rank: Int? { values[Self.rank] }
    /// AdamW's decay of what is trained, which pulls towards the merge that training starts from.
    package var weightDecay: Double { values[Self.weightDecay] }
    /// The smallest share of an image that a view shows.
    package var smallestArea: Double { values[Self.smallestArea] }
    /// Whether every second view is mirrored.
    package var flips: Bool { values[Self.flips] }

    /// The most steps that a run may have.
    package static let mostSteps = 1_000_000

    /// The parameter of the number of steps.
    package static var stepsParameter: MergeParameter { steps.parameter }

    /// The names of the parameters of what compares predictions, which distillation for streams does not.
    package static var predictionParameters: [String] {
        [divergenceWeight.parameter.name, temperature.parameter.name]
    }

    /// The same with another number of steps.
    ///
    /// - Throws: `ParameterError.invalid`.
    package func taking(steps: Int) throws(ParameterError) -> DistillationSettings {
        DistillationSettings(try values.setting(Self.steps.parameter, to: .count(steps)), seed: seed)
    }
}
