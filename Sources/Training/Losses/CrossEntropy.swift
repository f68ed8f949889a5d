import Glibc
import Tensors
import VisionTransformers

/// Cross entropy between a softmax over logits and a class, as PyTorch's `cross_entropy` has it.
///
/// With label smoothing ε over C classes (Szegedy et al., CVPR 2016, arXiv 1512.00567) the target is 1 - ε + ε/C for the
/// image's class and ε/C for the others.
struct CrossEntropy: Sendable {
    /// ε, from 0 to 1.
    let labelSmoothing: Double

    /// The loss with some label smoothing.
    ///
    /// - Throws: `ModelError` when it is not from 0 to 1.
    init(labelSmoothing: Double) throws {
        guard (0...1).contains(labelSmoothing) else {
            throw ModelError("label smoothing", "expected 0 to 1, found \(labelSmoothing)")
        }
        self.labelSmoothing = labelSmoothing
    }

    /// Computes an image's loss in nats.
    ///
    /// - Parameters:
    ///   - logits: one for each class.
    ///   - own: the image's class.
    ///   - weight: what the gradient is multiplied by.
    ///   - gradient: receives the loss's gradient by the logits times the weight.
    func evaluate(
        _ logits: UnsafePointer<Float>, classes: Int, own: Int, weight: Double,
        gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        let sum = SoftmaxSum(UnsafeBufferPointer(start: logits, count: classes))
        let rest = labelSmoothing / Double(classes)
        var loss = 0.0
        for index in 0..<classes {
            let logProbability = sum.logProbability(Double(logits[index]))
            let target = index == own ? 1 - labelSmoothing + rest : rest
            if target > 0 { loss -= target * logProbability }
            gradient[index] = Float(weight * (exp(logProbability) - target))
        }
        return loss
    }
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
