package import Compute
package import Tensors
import VisionTransformers

/// Trains a head alone over precomputed features (see `FeatureExtractor`).
package final class HeadTrainer: TrainableClassifier {
    /// The number of features of one image.
    package var inputCount: Int { head.features }
    /// The number of classes.
    package var classCount: Int { head.classes }

    private let head: LinearHead
    private let loss: ClassificationLoss
    private let optimizer: Optimizer
    private var memory: BatchMemory

    /// Plans the training.
    ///
    /// - Parameters:
    ///   - features: the number of features that the head reads.
    ///   - classes: the number of classes.
    ///   - optimizer: AdamW's settings.
    ///   - labels: the sets of labels, where an image may show several; then a batch's classes are indices of sets.
    ///   - labelSmoothing: ε of the loss, from 0 to 1.
    ///   - seed: the seed of initial values.
    ///   - initial: initial values by the names of `parameters`, instead of random ones.
    /// - Throws: `ModelError` naming the mismatch.
    package init(
        features: Int, classes: Int, optimizer: AdamW = AdamW(), labels: LabelTargets? = nil,
        labelSmoothing: Double = 0, seed: UInt64, initial: [String: Tensor] = [:]
    ) throws {
        loss = try ClassificationLoss(labels: labels, classes: classes, labelSmoothing: labelSmoothing)
        head = try LinearHead(classes: classes, features: features)
        self.optimizer = Optimizer(head.tensors, optimizer)
        memory = BatchMemory(images: 0, features: 0, classes: classes)
        try Initialization(seed: seed).apply(to: head.tensors, given: initial)
    }

    /// `classifier.weight` and `classifier.bias`.
    package var parameters: [(name: String, tensor: Tensor)] { optimizer.parameters }

    /// Computes the loss and gradients of a batch, and takes one AdamW step.
    ///
    /// - Throws: `ModelError` when the batch is invalid or the loss is not finite.
    package func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome {
        let outcome = try gradients(batch)
        optimizer.step(learningRate: learningRate)
        return outcome
    }

    /// Computes the loss of a batch, and stores its gradients in the tensors.
    package func gradients(_ batch: TrainingBatch) throws -> StepOutcome {
        let parts = try BatchLoss(batch, targets: loss.targetCount(classes: head.classes))
        if memory.images < parts.images {
            memory = BatchMemory(images: parts.images, features: 0, classes: head.classes)
        }
        for image in 0..<parts.images {
            memory.evaluate(image, head, loss, parts, features: batch.inputs + image * head.features)
        }
        let outcome = try memory.outcome(parts, step: optimizer.steps + 1)
        head.setGradients(inputs: batch.inputs, gradients: memory.logitGradient(0), images: parts.images)
        return outcome
    }

    /// The gradients of the last batch, for tests.
    var lastGradients: [(name: String, tensor: Tensor)] { optimizer.gradients }

    /// Computes logits, (images, `classCount`).
    package func predict(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>
    ) throws {
        for image in 0..<images {
            head.logits(inputs + image * head.features, into: logits + image * head.classes)
        }
    }

    /// Parameters, AdamW's moments and the number of steps taken.
    package var state: [(name: String, tensor: Tensor)] { optimizer.state }

    /// Restores a state.
    ///
    /// - Throws: `ModelError` naming a tensor that is missing, unknown or of another shape.
    package func restore(_ state: [(name: String, tensor: Tensor)]) throws { try optimizer.restore(state) }
}
