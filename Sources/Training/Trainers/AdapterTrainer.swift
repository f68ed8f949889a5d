package import Compute
package import Images
package import Tensors
package import VisionTransformers

/// The settings of a LoRA adapter.
///
/// Hu et al., ICLR 2022 (arXiv 2106.09685); rank-stabilised: Kalajdzievski, arXiv 2312.03732.
package struct LowRankAdaptation: Sendable, Equatable {
    /// The adapted modules by canonical name, such as `layers.0.attention.q_proj`.
    package var modules: [String]
    /// The rank r.
    package var rank: Int
    /// α; a module's update is multiplied by α/r.
    package var alpha: Double
    /// Whether updates are multiplied by α/√r instead.
    package var isRankStabilized: Bool
    /// The probability of dropout before A.
    package var dropout: Double

    package init(modules: [String], rank: Int, alpha: Double, isRankStabilized: Bool = false, dropout: Double = 0) {
        (self.modules, self.rank, self.alpha) = (modules, rank, alpha)
        (self.isRankStabilized, self.dropout) = (isRankStabilized, dropout)
    }

    /// The factor of B·A.
    package var scale: Double { isRankStabilized ? alpha / Double(rank).squareRoot() : alpha / Double(rank) }
}

/// Trains a LoRA adapter and a head over a frozen backbone.
///
/// The head is transformers' `classifier`: it reads CLS, in DINOv2 also the mean of the patches. That of a distilled
/// DeiT reads CLS alone too, as `DeiTForImageClassification` does.
package final class AdapterTrainer: HeadedClassifier {
    package let training: HeadTraining
    private let backbone: TrainableBackbone
    private let seed: UInt64
    private let dropout: Bool

    /// The number of values of one image: patches in row-major order, each (channel, row, column).
    package var inputCount: Int { backbone.inputCount }

    /// Plans the training.
    ///
    /// - Parameters:
    ///   - source: the backbone's weights.
    ///   - imageSize: the size of preprocessed images.
    ///   - classes: the number of classes of the head.
    ///   - adaptation: the adapted modules, rank and scale.
    ///   - optimizer: AdamW's settings; weight decay applies to everything that is trained.
    ///   - labels: the sets of labels, where an image may show several; then a batch's classes are indices of sets.
    ///   - labelSmoothing: ε of the loss, from 0 to 1.
    ///   - precision: how the operands of the backbone's products are stored (see `TrainableBackbone`); the head is
    ///     f32.
    ///   - seed: the seed of initial values and dropout.
    ///   - initial: initial values by the names of `parameters`, instead of random ones.
    ///   - threads: the number of images computed at the same time.
    /// - Throws: `ModelError` naming the mismatch; `FileError`, `ComputeError`.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        classes: Int, adaptation: LowRankAdaptation, optimizer: AdamW = AdamW(),
        labels: LabelTargets? = nil, labelSmoothing: Double = 0, precision: OperandType = .f32, seed: UInt64,
        initial: [String: Tensor] = [:], threads: Int
    ) throws {
        let loss = try ClassificationLoss(labels: labels, classes: classes, labelSmoothing: labelSmoothing)
        let parts = configuration.classifierParts
        let head = try LinearHead(classes: classes, features: configuration.hiddenSize * parts)
        guard adaptation.rank > 0 else { throw ModelError("rank", "expected at least 1, found \(adaptation.rank)") }
        backbone = try TrainableBackbone(
            source, configuration: configuration, imageSize: imageSize,
            modules: adaptation.modules.map {
                TrainedModule($0, .lowRank(rank: adaptation.rank, scale: adaptation.scale))
            },
            featureParts: parts, dropout: adaptation.dropout, precision: precision, threads: threads)
        self.seed = seed
        dropout = adaptation.dropout > 0
        training = try HeadTraining(
            head, below: backbone.tensors, loss, optimizer, copiesFeatures: true, seed: seed, initial: initial)
        try backbone.refresh()
    }

    package func gradients(_ batch: TrainingBatch) throws -> StepOutcome {
        let (head, step) = (training.head, training.optimizer.steps + 1)
        return try training.gradients(batch) { images, evaluate in
            try backbone.gradients(
                batch.inputs, images: images, dropout: dropout ? Dropout.key(seed, UInt64(step)) : nil
            ) { _, image, features, gradient in
                head.featureGradient(evaluate(image, features), into: gradient)
            }
        }
    }

    package func refresh() throws { try backbone.refresh() }

    package func predict(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>
    ) throws {
        let head = training.head
        try backbone.run(inputs, images: images) { image, features in
            head.logits(features, into: logits + image * head.classes)
        }
    }

    /// Multiplications and additions in one image's matrix products in a step.
    package var operationsPerImage: Double { backbone.operationsPerImage }
}
