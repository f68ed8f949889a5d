import Glibc
import Tensors
import VisionTransformers

/// Cross entropy between a softmax over logits and a class, as PyTorch's `cross_entropy` has it.
///
/// With label smoothing ε over C classes (Szegedy et al., CVPR 2016, arXiv 1512.00567) the target is 1 - ε + ε/C for
/// the image's class and ε/C for the others.
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
    ///   - target: the image's class.
    ///   - weight: multiplies the gradient.
    ///   - gradient: receives the loss's gradient by the logits times the weight.
    func evaluate(
        _ logits: UnsafePointer<Float>, classes: Int, target: Int, weight: Double, gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        let sum = SoftmaxSum(UnsafeBufferPointer(start: logits, count: classes))
        let rest = labelSmoothing / Double(classes)
        var loss = 0.0
        for index in 0..<classes {
            let logProbability = sum.logProbability(Double(logits[index]))
            let smoothed = index == target ? 1 - labelSmoothing + rest : rest
            if smoothed > 0 { loss -= smoothed * logProbability }
            gradient[index] = Float(weight * (exp(logProbability) - smoothed))
        }
        return loss
    }
}

/// The training loss: cross entropy where an image shows one class, binary cross entropy where it may show several
/// labels.
enum ClassificationLoss: Sendable {
    case softmax(CrossEntropy)
    case sigmoid(BinaryCrossEntropy)

    /// The loss with some label smoothing.
    ///
    /// - Parameter labels: the sets of labels; nil where an image shows one class.
    /// - Throws: `ModelError` as the two losses do.
    init(labels: LabelTargets?, classes: Int, labelSmoothing: Double) throws {
        self =
            try labels.map { .sigmoid(try BinaryCrossEntropy($0, classes: classes, labelSmoothing: labelSmoothing)) }
            ?? .softmax(CrossEntropy(labelSmoothing: labelSmoothing))
    }

    /// The number of targets: classes, or sets of labels.
    func targetCount(classes: Int) -> Int {
        switch self {
        case .softmax: classes
        case .sigmoid(let loss): loss.count
        }
    }

    /// Computes an image's loss in nats, and its gradient by the logits times a weight.
    func evaluate(
        _ logits: UnsafePointer<Float>, classes: Int, target: Int, weight: Double, gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        switch self {
        case .softmax(let loss):
            loss.evaluate(logits, classes: classes, target: target, weight: weight, gradient: gradient)
        case .sigmoid(let loss):
            loss.evaluate(logits, classes: classes, target: target, weight: weight, gradient: gradient)
        }
    }

    /// Whether the prediction is correct: the class with the first of the largest logits, or exactly the set of labels.
    func isRight(_ logits: UnsafePointer<Float>, classes: Int, target: Int) -> Bool {
        switch self {
        case .softmax:
            var best = 0
            for index in 1..<max(classes, 1) where logits[index] > logits[best] { best = index }
            return best == target
        case .sigmoid(let loss): return loss.isRight(logits, classes: classes, target: target)
        }
    }
}
