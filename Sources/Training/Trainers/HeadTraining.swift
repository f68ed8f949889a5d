import Compute
package import Tensors
import VisionTransformers

/// A linear head in training, with the optimizer of all tensors that are trained: what all trainers share.
package final class HeadTraining {
    let head: LinearHead
    let optimizer: Optimizer
    private let loss: ClassificationLoss
    /// Whether features are valid during their image's pass only, so that they are copied for the head's gradient.
    private let copiesFeatures: Bool
    private var memory: BatchMemory

    /// Takes memory, and sets the initial values.
    ///
    /// - Parameters:
    ///   - tensors: the tensors that are trained below the head.
    ///   - settings: AdamW's settings.
    ///   - seed: the seed of initial values.
    ///   - initial: initial values by name, instead of random ones.
    /// - Throws: `ModelError` naming an initial value that does not fit.
    init(
        _ head: LinearHead, below tensors: [TrainedTensor] = [], _ loss: ClassificationLoss, _ settings: AdamW,
        copiesFeatures: Bool, seed: UInt64, initial: [String: Tensor]
    ) throws {
        (self.head, self.loss, self.copiesFeatures) = (head, loss, copiesFeatures)
        optimizer = Optimizer(tensors + head.tensors, settings)
        memory = BatchMemory(images: 0, features: 0, classes: head.classes)
        try Initialization(seed: seed).apply(to: optimizer.tensors, given: initial)
    }

    /// Computes an image's logits and loss from its features. Several threads may each compute another image.
    ///
    /// - Returns: the gradient of the batch's loss by the image's logits.
    typealias Evaluate = (_ image: Int, _ features: UnsafePointer<Float>) -> UnsafePointer<Float>

    /// Computes the loss of a batch and the gradient of the head.
    ///
    /// - Parameters:
    ///   - features: the features of all images, (images, features), unless they are copied.
    ///   - pass: evaluates every image.
    /// - Throws: `ModelError` when the batch is invalid or the loss is not finite; what `pass` throws.
    func gradients(
        _ batch: TrainingBatch, features: UnsafePointer<Float>? = nil,
        pass: (_ images: Int, _ evaluate: Evaluate) throws -> Void
    ) throws -> StepOutcome {
        let parts = try BatchLoss(batch, targets: loss.targetCount(classes: head.classes))
        if memory.images < parts.images {
            memory = BatchMemory(
                images: parts.images, features: copiesFeatures ? head.features : 0, classes: head.classes)
        }
        let memory = memory
        try pass(parts.images) { image, features in
            if copiesFeatures { memory.features(image).update(from: features, count: head.features) }
            memory.evaluate(image, head, loss, parts, features: features)
            return UnsafePointer(memory.logitGradient(image))
        }
        let outcome = try memory.outcome(parts, step: optimizer.steps + 1)
        head.setGradients(
            inputs: features ?? UnsafePointer(memory.features(0)), gradients: memory.logitGradient(0),
            images: parts.images)
        return outcome
    }
}

/// A classifier that ends in a linear head, trained by AdamW.
package protocol HeadedClassifier: TrainableClassifier {
    /// The head and the optimizer.
    var training: HeadTraining { get }

    /// Computes the loss of a batch, and stores its gradients in the tensors.
    ///
    /// - Throws: as `step`.
    func gradients(_ batch: TrainingBatch) throws -> StepOutcome

    /// Applies changed tensors to the passes that follow.
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    func refresh() throws
}

extension HeadedClassifier {
    package var classCount: Int { training.head.classes }
    package var parameters: [(name: String, tensor: Tensor)] { training.optimizer.parameters }
    /// The gradients of the last batch, for tests.
    var lastGradients: [(name: String, tensor: Tensor)] { training.optimizer.gradients }

    package func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome {
        let outcome = try gradients(batch)
        training.optimizer.step(learningRate: learningRate)
        try refresh()
        return outcome
    }

    /// Parameters, AdamW's moments and the number of steps taken.
    package var state: [(name: String, tensor: Tensor)] { training.optimizer.state }

    package func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        try training.optimizer.restore(state)
        try refresh()
    }
}
