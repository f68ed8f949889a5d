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
