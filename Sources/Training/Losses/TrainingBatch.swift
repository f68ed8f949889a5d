import VisionTransformers

/// The images of one optimiser step.
package struct TrainingBatch {
    /// (images, `inputCount`), valid during the step.
    package let inputs: UnsafePointer<Float>
    /// The class of each image as an index in the head; the index of its set where images show several labels.
    package let classes: [Int]
    /// The weight of each image's loss; nil for 1.
    package let weights: [Float]?

    /// A batch; `classes` has one element per image.
    package init(inputs: UnsafePointer<Float>, classes: [Int], weights: [Float]? = nil) {
        (self.inputs, self.classes, self.weights) = (inputs, classes, weights)
    }
}

/// The loss and accuracy of a step, with the parameters before it.
package struct StepOutcome: Sendable, Equatable {
    /// The mean loss, in nats: Σ w·loss / Σ w.
    package let loss: Double
    /// The number of correct predictions: the class, or exactly the set of labels.
    package let correct: Int

    package init(loss: Double, correct: Int) { (self.loss, self.correct) = (loss, correct) }
}

/// The loss of a batch, as the weighted mean of its images' losses.
struct BatchLoss {
    let batch: TrainingBatch
    let images: Int
    private let total: Double

    /// Checks a batch.
    ///
    /// - Parameter targets: the number of classes, or of sets of labels.
    /// - Throws: `ModelError` when there is no image, a class is out of range, or weights are invalid.
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
            throw ModelError("batch", "expected weights of at least 0 that are not all 0")
        }
    }

    /// An image's weight in the mean over the batch.
    func share(_ image: Int) -> Double { Double(batch.weights?[image] ?? 1) / total }

    /// The outcome of a step.
    ///
    /// - Parameters:
    ///   - losses: the images' losses, not weighted.
    ///   - correct: the number of correct predictions.
    /// - Throws: `ModelError` when the loss is not finite.
    func outcome(_ losses: [Double], correct: Int, step: Int) throws -> StepOutcome {
        let loss = losses.indices.reduce(0) { $0 + share($1) * losses[$1] }
        guard loss.isFinite else {
            throw ModelError("step \(step)", "the loss is \(loss); a smaller learning rate may help")
        }
        return StepOutcome(loss: loss, correct: correct)
    }
}
