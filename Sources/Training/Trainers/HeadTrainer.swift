package import Compute
package import Tensors
import VisionTransformers

/// Trains a head alone over precomputed features (see `FeatureExtractor`).
package final class HeadTrainer: HeadedClassifier {
    package let training: HeadTraining

    /// The number of features of one image.
    package var inputCount: Int { training.head.features }

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
        let loss = try ClassificationLoss(labels: labels, classes: classes, labelSmoothing: labelSmoothing)
        training = try HeadTraining(
            LinearHead(classes: classes, features: features), loss, optimizer, copiesFeatures: false, seed: seed,
            initial: initial)
    }

    package func gradients(_ batch: TrainingBatch) throws -> StepOutcome {
        let width = inputCount
        return try training.gradients(batch, features: batch.inputs) { images, evaluate in
            for image in 0..<images { _ = evaluate(image, batch.inputs + image * width) }
        }
    }

    /// Does nothing: the head reads its tensors themselves.
    package func refresh() {}

    package func predict(_ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>) {
        let head = training.head
        for image in 0..<images {
            head.logits(inputs + image * head.features, into: logits + image * head.classes)
        }
    }
}
