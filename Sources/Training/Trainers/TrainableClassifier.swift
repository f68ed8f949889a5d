package import Tensors

/// A classifier that a training run can train step by step.
///
/// The same state, batches and learning rates give the same bits, on any number of threads.
package protocol TrainableClassifier: AnyObject {
    /// The number of values of one image.
    var inputCount: Int { get }
    /// The number of classes.
    var classCount: Int { get }
    /// The trained parameters, by PEFT's names without prefix: `layers.0.attention.q_proj.lora_A.weight` (r, inputs),
    /// `...lora_B.weight` (outputs, r), `classifier.weight` (classes, features), `classifier.bias` (classes).
    var parameters: [(name: String, tensor: Tensor)] { get }

    /// Computes the loss and gradients of a batch, and takes one optimiser step.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `ComputeError` when a kernel fails.
    func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome

    /// Computes logits, (images, `classCount`), without dropout.
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    func predict(_ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>) throws

    /// The exact state of the training: parameters, moments, number of steps.
    var state: [(name: String, tensor: Tensor)] { get }

    /// Restores a state.
    ///
    /// - Throws: `ModelError` naming a tensor that is missing, unknown or of another shape.
    func restore(_ state: [(name: String, tensor: Tensor)]) throws
}
