import Glibc
import Tensors
import VisionTransformers

/// The targets of multi-label training: the labels that images show.
package struct LabelTargets: Sendable, Equatable {
    /// The distinct sets of labels, as indices in the head. An image's target is the index of its set.
    package let sets: [[Int]]
    /// The weight of each label's presence relative to its absence, as PyTorch's `pos_weight`; nil for 1.
    package var positiveWeights: [Double]?

    /// Targets without weights.
    package init(sets: [[Int]]) { self.sets = sets }

    /// The weights that balance each label's presence and absence: images without it / images with it.
    ///
    /// - Parameters:
    ///   - images: the index of each image's set.
    ///   - classes: the number of labels.
    /// - Returns: infinity for a label that no image shows, 0 for one that all show.
    package func balance(_ images: [Int], classes: Int) -> [Double] {
        var counts = [Int](repeating: 0, count: classes)
        for image in images { for label in sets[image] { counts[label] += 1 } }
        return counts.map { Double(images.count - $0) / Double($0) }
    }
}

/// Binary cross entropy between the sigmoid of each logit and whether the image shows its label, the mean over the
/// labels: one image's part of PyTorch's `BCEWithLogitsLoss`.
///
/// With label smoothing ε the target is 1 - ε/2 for the labels of an image and ε/2 for the others.
struct BinaryCrossEntropy: Sendable {
    private let targets: LabelTargets
    /// For each set, whether it contains each label.
    private let isShown: [[Bool]]
    private let labelSmoothing: Double

    /// The loss for some targets.
    ///
    /// - Throws: `ModelError` when the smoothing is not from 0 to 1, a label is not one of the classes, or weights do
    ///   not fit.
    init(_ targets: LabelTargets, classes: Int, labelSmoothing: Double) throws {
        guard (0...1).contains(labelSmoothing) else {
            throw ModelError("label smoothing", "expected 0 to 1, found \(labelSmoothing)")
        }
        if let wrong = targets.sets.joined().first(where: { !(0..<classes).contains($0) }) {
            throw ModelError("labels", "expected classes 0 to \(classes - 1), found \(wrong)")
        }
        if let weights = targets.positiveWeights {
            guard weights.count == classes, weights.allSatisfy({ $0 > 0 && $0.isFinite }) else {
                throw ModelError("labels", "expected \(classes) positive weights above 0, found \(weights)")
            }
        }
        self.targets = targets
        self.labelSmoothing = labelSmoothing
        isShown = targets.sets.map { set in
            var shown = [Bool](repeating: false, count: classes)
            for label in set { shown[label] = true }
            return shown
        }
    }

    /// The number of distinct sets of labels.
    var count: Int { isShown.count }

    /// Computes an image's loss in nats.
    ///
    /// - Parameters:
    ///   - logits: one for each class.
    ///   - target: the index of the image's set of labels.
    ///   - weight: multiplies the gradient.
    ///   - gradient: receives the loss's gradient by the logits times the weight.
    func evaluate(
        _ logits: UnsafePointer<Float>, classes: Int, target: Int, weight: Double, gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        var loss = 0.0
        for index in 0..<classes {
            let logit = Double(logits[index])
            let smoothed = (isShown[target][index] ? 1 - labelSmoothing : 0) + labelSmoothing / 2
            let positive = (targets.positiveWeights?[index] ?? 1) * smoothed
            // Both logarithms share log(1 + exp(-|x|)); neither overflows.
            let rest = log1p(exp(-abs(logit)))
            let (logPresent, logAbsent) = (min(logit, 0) - rest, min(-logit, 0) - rest)
            loss -= positive * logPresent + (1 - smoothed) * logAbsent
            gradient[index] = Float(
                weight * ((1 - smoothed) * exp(logPresent) - positive * exp(logAbsent)) / Double(classes))
        }
        return loss / Double(classes)
    }

    /// Whether exactly the labels of a set have logits of at least 0, that is probabilities of at least 1/2.
    func isRight(_ logits: UnsafePointer<Float>, classes: Int, target: Int) -> Bool {
        (0..<classes).allSatisfy { (logits[$0] >= 0) == isShown[target][$0] }
    }
}
