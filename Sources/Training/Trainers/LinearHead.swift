import Compute
import Tensors
import VisionTransformers

/// A trainable linear classifier: logits = W f + b.
struct LinearHead {
    /// `classifier.weight`, (classes, features).
    let weight: TrainedTensor
    /// `classifier.bias`, (classes).
    let bias: TrainedTensor
    let features: Int
    let classes: Int

    /// The maximum number of classes and of features.
    static let maximumClasses = 1 << 20

    /// A head of zeros.
    ///
    /// - Throws: `ModelError` when the number of classes or features is out of range.
    init(classes: Int, features: Int) throws {
        guard (1...Self.maximumClasses).contains(classes), (1...Self.maximumClasses).contains(features) else {
            throw ModelError(
                "classifier",
                "expected 1 to \(Self.maximumClasses) classes and features, found \(classes) and \(features)")
        }
        (self.classes, self.features) = (classes, features)
        weight = TrainedTensor("classifier.weight", shape: [classes, features])
        bias = TrainedTensor("classifier.bias", shape: [classes])
    }

    /// A copy of a model's head.
    ///
    /// - Throws: `ModelError` when the number of classes or features is out of range.
    init(_ head: Head) throws {
        try self.init(classes: head.weight.shape[0], features: head.weight.shape[1])
        try weight.set(head.weight)
        try bias.set(head.bias)
    }

    var tensors: [TrainedTensor] { [weight, bias] }

    func logits(_ input: UnsafePointer<Float>, into logits: UnsafeMutablePointer<Float>) {
        for index in 0..<classes {
            logits[index] =
                RowKernels.dot(weight.values.base + index * features, input, count: features) + bias.values.base[index]
        }
    }

    /// The class with the largest logit; the first of equal ones.
    func answer(_ logits: UnsafePointer<Float>) -> Int {
        Logits.argmax(UnsafeBufferPointer(start: logits, count: classes)) ?? 0
    }

    /// The gradient of the features from that of the logits.
    func featureGradient(_ gradient: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
        result.update(repeating: 0, count: features)
        for index in 0..<classes {
            RowKernels.add(weight.values.base + index * features, times: gradient[index], to: result, count: features)
        }
    }

    /// Sets the head's gradient to the sum over images, in their order.
    ///
    /// - Parameters:
    ///   - inputs: (images, features).
    ///   - gradients: those of the logits, (images, classes).
    func setGradients(inputs: UnsafePointer<Float>, gradients: UnsafePointer<Float>, images: Int) {
        let (weightGradient, biasGradient) = (weight.gradient.base, bias.gradient.base)
        weightGradient.update(repeating: 0, count: weight.gradient.count)
        biasGradient.update(repeating: 0, count: classes)
        for image in 0..<images {
            RowKernels.add(gradients + image * classes, to: biasGradient, count: classes)
            for index in 0..<classes {
                RowKernels.add(
                    inputs + image * features, times: gradients[image * classes + index],
                    to: weightGradient + index * features, count: features)
            }
        }
    }
}
