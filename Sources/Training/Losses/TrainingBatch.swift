import VisionTransformers

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

/// The loss of a batch, image by image, and what it means for a linear head.
struct BatchLoss {
    let batch: TrainingBatch
    let images: Int
    private let total: Double

    /// Checks a batch.
    ///
    /// - Parameter targets: how many classes, or sets of labels, an image can be of.
    /// - Throws: `ModelError` when there is no image, a class is not one of them, or weights do not fit.
    init(_ batch: TrainingBatch, targets: Int) throws {
        (self.batch, images) = (batch, batch.classes.count)
        guard images > 0 else { throw ModelError("batch", "expected at least one image") }
        if let wrong = batch.classes.first(where: { !(0..<targets).contains($0) }) {
            throw ModelError("batch", "expected classes 0 to \(targets - 1), found \(wrong)")
        }
        guard let weights = batch.weights else {
            total = Double(images)
            return
        }
        guard weights.count == images else {
            throw ModelError("batch", "expected \(images) weights, found \(weights.count)")
        }
        total = weights.reduce(0) { $0 + Double($1) }
        guard weights.allSatisfy({ $0 >= 0 }), total > 0, total.isFinite else {
            throw ModelError("batch", "weights are to be at least 0, and not all 0")
        }
    }

    /// An image's part of the mean over the batch.
    func share(_ image: Int) -> Double { Double(batch.weights?[image] ?? 1) / total }

    /// The outcome of a step.
    ///
    /// - Parameters:
    ///   - losses: each image's, not weighted.
    ///   - correct: how many images were given what they show.
    /// - Throws: `ModelError` when the loss is not finite.
    func outcome(_ losses: [Double], correct: Int, step: Int) throws -> StepOutcome {
        let loss = losses.indices.reduce(0) { $0 + share($1) * losses[$1] }
        guard loss.isFinite else {
            throw ModelError("step \(step)", "the loss is \(loss); a smaller learning rate may help")
        }
        return StepOutcome(loss: loss, correct: correct)
    }
}
