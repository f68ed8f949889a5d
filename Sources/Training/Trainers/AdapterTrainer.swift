package import Compute
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
package final class AdapterTrainer: TrainableClassifier {
    /// The number of classes.
    package var classCount: Int { head.classes }
    /// The number of values of one image: patches in row-major order, each (channel, row, column).
    package var inputCount: Int { backbone.inputCount }

    private let backbone: TrainableBackbone
    private let head: LinearHead
    private let loss: ClassificationLoss
    private let optimizer: Optimizer
    private let seed: UInt64
    private let dropout: Bool
    private var memory: BatchMemory

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
        _ source: some ParameterSource, configuration: BackboneConfiguration, imageSize: BackboneConfiguration.Extent,
        classes: Int, adaptation: LowRankAdaptation, optimizer: AdamW = AdamW(),
        labels: LabelTargets? = nil, labelSmoothing: Double = 0, precision: OperandType = .f32, seed: UInt64,
        initial: [String: Tensor] = [:], threads: Int
    ) throws {
        loss = try ClassificationLoss(labels: labels, classes: classes, labelSmoothing: labelSmoothing)
        let parts = configuration.family.classifierParts
        head = try LinearHead(classes: classes, features: configuration.hiddenSize * parts)
        guard adaptation.rank > 0 else { throw ModelError("rank", "expected at least 1, found \(adaptation.rank)") }
        backbone = try TrainableBackbone(
            source, configuration: configuration, imageSize: imageSize,
            modules: adaptation.modules.map {
                TrainedModule($0, .lowRank(rank: adaptation.rank, scale: adaptation.scale))
            },
            featureParts: parts, dropout: adaptation.dropout, precision: precision, threads: threads)
        self.seed = seed
        dropout = adaptation.dropout > 0
        self.optimizer = Optimizer(backbone.tensors + head.tensors, optimizer)
        memory = BatchMemory(images: 0, features: head.features, classes: head.classes)
        try Initialization(seed: seed).apply(to: self.optimizer.tensors, given: initial)
        try backbone.refresh()
    }

    /// The trained parameters, by PEFT's names without prefix.
    package var parameters: [(name: String, tensor: Tensor)] { optimizer.parameters }

    /// Computes the loss and gradients of a batch, and takes one AdamW step.
    ///
    /// - Throws: `ModelError` when the batch is invalid or the loss is not finite; `ComputeError` when a kernel fails.
    package func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome {
        let outcome = try gradients(batch)
        optimizer.step(learningRate: learningRate)
        try backbone.refresh()
        return outcome
    }

    /// Computes the loss of a batch, and stores its gradients in the tensors.
    package func gradients(_ batch: TrainingBatch) throws -> StepOutcome {
        let parts = try BatchLoss(batch, targets: loss.targetCount(classes: head.classes))
        if memory.images < parts.images {
            memory = BatchMemory(images: parts.images, features: head.features, classes: head.classes)
        }
        let (memory, step) = (memory, optimizer.steps + 1)
        try backbone.gradients(
            batch.inputs, images: parts.images, dropout: dropout ? Dropout.key(seed, UInt64(step)) : nil
        ) { _, image, features, gradient in
            memory.features(image).update(from: features, count: head.features)
            memory.evaluate(image, head, loss, parts)
            head.featureGradient(memory.logitGradient(image), into: gradient)
        }
        let outcome = try memory.outcome(parts, step: step)
        head.setGradients(
            inputs: memory.features(0), gradients: memory.logitGradient(0), images: parts.images)
        return outcome
    }

    /// The gradients of the last batch, for tests.
    var lastGradients: [(name: String, tensor: Tensor)] { optimizer.gradients }

    /// Computes logits, (images, `classCount`), without dropout.
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    package func predict(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>
    ) throws {
        try backbone.run(inputs, images: images) { image, features in
            head.logits(features, into: logits + image * head.classes)
        }
    }

    /// Multiplications and additions in one image's matrix products in a step.
    package var operationsPerImage: Double { backbone.operationsPerImage }

    /// Parameters, AdamW's moments and the number of steps taken.
    package var state: [(name: String, tensor: Tensor)] { optimizer.state }

    /// Restores a state.
    ///
    /// - Throws: `ModelError` naming a tensor that is missing, unknown or of another shape.
    package func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        try optimizer.restore(state)
        try backbone.refresh()
    }
}
