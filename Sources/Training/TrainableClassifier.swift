package import Tensors

/// One optimiser step's images, ready for the model.
package struct TrainingBatch {
    /// (images, `inputCount`), valid during the step.
    package let inputs: UnsafePointer<Float>
    /// The class of each image, as the head counts them; the place of its set of labels where it may show several.
    package let classes: [Int]
    /// How much each image's loss counts; every image counts 1 if there are none.
    package let weights: [Float]?

    /// A batch of as many images as there are classes.
    package init(inputs: UnsafePointer<Float>, classes: [Int], weights: [Float]? = nil) {
        (self.inputs, self.classes, self.weights) = (inputs, classes, weights)
    }
}

/// What a step found, with the parameters from before it.
package struct StepOutcome: Sendable, Equatable {
    /// The mean loss, in nats: Σ w·loss / Σ w.
    package let loss: Double
    /// How many images were given their own class, or all their labels and no others.
    package let correct: Int

    /// The outcome of a step.
    package init(loss: Double, correct: Int) { (self.loss, self.correct) = (loss, correct) }
}

/// A classifier whose parameters an optimiser changes, step by step: what a training run drives.
///
/// The same state, batches and learning rates give the same bits, on any number of threads.
package protocol TrainableClassifier: AnyObject {
    /// Values of one image's input.
    var inputCount: Int { get }
    /// How many classes there are.
    var classCount: Int { get }
    /// What is trained, by PEFT's names without prefix: `layers.0.attention.q_proj.lora_A.weight` (r, inputs), `...lora_B.weight`
    /// (outputs, r), `classifier.weight` (classes, features), `classifier.bias` (classes).
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
