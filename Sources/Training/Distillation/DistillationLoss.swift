import Adapters
import Compute
import Glibc
import Tensors
import VisionTransformers

/// What separates a merge from a task's single adapter on one image:
///
///     Σ over parts of the features ‖f - f_t‖² / variance  +  w · T² · KL(p_t ‖ p),
///
/// with p the softmax over the logits divided by the temperature T. The factor T² keeps gradients as large as those of
/// T = 1 (Hinton et al., 2015, arXiv 1503.02531, section 2). With a sigmoid KL is the sum over the classes of that of
/// each yes or no; without an activation it is that of normal distributions around the values with the variance that
/// the single adapter's have over the images.
struct DistillationLoss {
    /// What one image, or the mean of several, came to.
    struct Value: Sendable, Equatable {
        /// The features' part of the loss.
        var distance = 0.0
        /// KL(p_t ‖ p) at the temperature, in nats.
        var divergence = 0.0
        /// 1 when both give the image the same class, or set of classes, else 0. Without an activation what is left of
        /// 1 without the squared error as a share of the variance.
        var sameLabel = 0.0
    }

    /// The task's head; it reads the first of the features, of the merge and of the single adapter.
    let head: LinearHead
    /// What turns its logits into an answer.
    let activation: HeadActivation
    /// Without an activation the variance of each of the single adapter's outputs.
    let outputVariances: [Double]
    /// 1 / variance of each part of the features.
    let weights: [Float]
    /// w.
    let divergenceWeight: Double
    /// T.
    let temperature: Double
    /// Elements of the features.
    let features: Int

    /// The loss of a task.
    ///
    /// - Throws: `ModelError` when the head is far too large.
    init(_ task: DistillationTask, settings: DistillationSettings, features: Int) throws {
        head = try LinearHead(task.head)
        (activation, outputVariances) = (task.head.activation, task.outputVariances)
        weights = task.variances.map { Float(1 / $0) }
        (divergenceWeight, temperature) = (settings.divergenceWeight, settings.temperature)
        self.features = features
    }

    /// Computes an image's loss.
    ///
    /// - Parameters:
    ///   - own: the merge's features.
    ///   - wanted: the single adapter's.
    ///   - share: what gradients are multiplied by.
    ///   - gradient: receives the gradient by the merge's features.
    func evaluate(
        _ own: UnsafePointer<Float>, _ wanted: UnsafePointer<Float>, share: Double,
        gradient: UnsafeMutablePointer<Float>
    ) -> Value {
        var value = answers(own, wanted, share: share, gradient: gradient)
        let width = features / weights.count
        for (part, weight) in weights.enumerated() {
            let scale = Float(2 * share) * weight
            var squares: Float = 0
            for index in part * width..<(part + 1) * width {
                let difference = own[index] - wanted[index]
                squares += difference * difference
                gradient[index] += scale * difference
            }
            value.distance += Double(weight * squares)
        }
        return value
    }

    /// The answers' part of the loss; sets `gradient` to that part's.
    private func answers(
        _ own: UnsafePointer<Float>, _ wanted: UnsafePointer<Float>, share: Double,
        gradient: UnsafeMutablePointer<Float>
    ) -> Value {
        let classes = head.classes
        (gradient + head.features).update(repeating: 0, count: features - head.features)
        return withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * classes) { memory in
            guard let teacher = memory.baseAddress else { return Value() }
            let logits = teacher + classes
            head.logits(wanted, into: teacher)
            head.logits(own, into: logits)
            let value =
                switch activation {
                case .softmax: classLoss(logits, teacher, share: share)
                case .sigmoid: setLoss(logits, teacher, share: share)
                case .identity: valueLoss(logits, teacher, share: share)
                }
            head.featureGradient(logits, into: gradient)
            return value
        }
    }

    /// The loss of one class of several; the logits become their gradient, as in the others.
    private func classLoss(
        _ logits: UnsafeMutablePointer<Float>, _ teacher: UnsafePointer<Float>, share: Double
    ) -> Value {
        var value = Value(sameLabel: head.answer(teacher) == head.answer(logits) ? 1 : 0)
        func logSumExp(_ logits: UnsafePointer<Float>) -> Double {
            SoftmaxSum(UnsafeBufferPointer(start: logits, count: head.classes), temperature: temperature).logSumExp
        }
        let (first, second) = (logSumExp(teacher), logSumExp(logits))
        for index in 0..<head.classes {
            let p = Double(teacher[index]) / temperature - first
            let q = Double(logits[index]) / temperature - second
            value.divergence += exp(p) * (p - q)
            logits[index] = Float(share * divergenceWeight * temperature * (exp(q) - exp(p)))
        }
        return value
    }

    private func setLoss(
        _ logits: UnsafeMutablePointer<Float>, _ teacher: UnsafePointer<Float>, share: Double
    ) -> Value {
        var value = Value(sameLabel: 1)
        for index in 0..<head.classes {
            if (teacher[index] >= 0) != (logits[index] >= 0) { value.sameLabel = 0 }
            let divergence = BinaryDivergence(
                Double(teacher[index]) / temperature, from: Double(logits[index]) / temperature)
            value.divergence += divergence.value
            logits[index] = Float(share * divergenceWeight * temperature * divergence.gradient)
        }
        return value
    }

    private func valueLoss(
        _ logits: UnsafeMutablePointer<Float>, _ teacher: UnsafePointer<Float>, share: Double
    ) -> Value {
        var error = 0.0
        for index in 0..<head.classes {
            let difference = Double(logits[index]) - Double(teacher[index])
            error += difference * difference / outputVariances[index]
            logits[index] = Float(share * divergenceWeight * difference / outputVariances[index])
        }
        return Value(
            divergence: error / (2 * temperature * temperature), sameLabel: max(0, 1 - error / Double(head.classes)))
    }
}
