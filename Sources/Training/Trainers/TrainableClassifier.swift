package import Tensors

/// A classifier whose parameters an optimiser changes, step by step: what a training run drives.
///
/// The same state, batches and learning rates give the same bits, on any number of threads.
package protocol TrainableClassifier: AnyObject {
    /// Values of one image's input.
    var inputCount: Int { get }
    /// How many classes there are.
    var classCount: Int { get }
    /// What is trained, by PEFT's names without prefix: `layers.0.attention.q_proj.lora_A.weight` (r, inputs),
    /// `...lora_B.weight` (outputs, r), `classifier.weight` (classes, features), `classifier.bias` (classes).
    var parameters: [(name: String, tensor: Tensor)] { get }

    /// Computes the loss of a batch and its gradients, and lets the optimiser take one step.
    ///
    /// - Throws: `ModelError` when the loss is not finite; `ComputeError` when a kernel fails.
    func step(_ batch: TrainingBatch, learningRate: Double) throws -> StepOutcome

    /// Computes logits, (images, `classCount`), without dropout.
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    func predict(_ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>) throws

    /// All that training goes on from: parameters, moments, steps taken; to the last bit.
    var state: [(name: String, tensor: Tensor)] { get }

    /// Goes back to a state that `state` gave.
    ///
    /// - Throws: `ModelError` naming what is missing, left over or misshapen.
    func restore(_ state: [(name: String, tensor: Tensor)]) throws
}
