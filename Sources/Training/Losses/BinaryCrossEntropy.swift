import Glibc
import Tensors
import VisionTransformers

/// The labels that images show where each may show any number of them: the targets of multi-label training.
package struct LabelTargets: Sendable, Equatable {
    /// The different sets of labels, by their places in the head. What an image shows is given by the place of its set.
    package let sets: [[Int]]
    /// For each label how much its presence counts against its absence, as PyTorch's `pos_weight`; nil for 1.
    package var positiveWeights: [Double]?

    /// Targets without weights.
    package init(sets: [[Int]]) { self.sets = sets }

    /// The weight of each label that makes its presence count as much as its absence: images without it / images with
    /// it.
    ///
    /// - Parameters:
    ///   - images: the place of each image's set.
    ///   - classes: how many labels there are.
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
    /// By the place of a set whether it has each label.
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

    /// How many different sets of labels there are.
    var count: Int { isShown.count }

    /// Computes an image's loss in nats.
    ///
    /// - Parameters:
    ///   - logits: one for each class.
    ///   - own: the place of the image's set of labels.
    ///   - weight: what the gradient is multiplied by.
    ///   - gradient: receives the loss's gradient by the logits times the weight.
    func evaluate(
        _ logits: UnsafePointer<Float>, classes: Int, own: Int, weight: Double,
        gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        var loss = 0.0
        for index in 0..<classes {
            let logit = Double(logits[index])
            let target = (isShown[own][index] ? 1 - labelSmoothing : 0) + labelSmoothing / 2
            let positive = (targets.positiveWeights?[index] ?? 1) * target
            let (logPresent, logAbsent) = (Logits.logSigmoid(logit), Logits.logSigmoid(-logit))
            loss -= positive * logPresent + (1 - target) * logAbsent
            gradient[index] = Float(
                weight * ((1 - target) * exp(logPresent) - positive * exp(logAbsent)) / Double(classes))
        }
        return loss / Double(classes)
    }

    /// Whether the logits of at least 0, which are probabilities of at least 1/2, are those of the labels of a set.
    func isRight(_ logits: UnsafePointer<Float>, classes: Int, own: Int) -> Bool {
        (0..<classes).allSatisfy { (logits[$0] >= 0) == isShown[own][$0] }
    }
}
