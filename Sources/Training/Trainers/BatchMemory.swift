import Tensors

/// The features, logits and gradients of each image of a batch. Several threads may write to different images at once.
final class BatchMemory: Sendable {
    /// The capacity in images.
    let images: Int
    private let featureCount: Int
    private let classes: Int
    private let featureValues: FloatBuffer
    private let logits: FloatBuffer
    private let gradients: FloatBuffer
    private let results: ResultBuffer<ImageResult>

    init(images: Int, features: Int, classes: Int) {
        (self.images, featureCount, self.classes) = (images, features, classes)
        featureValues = FloatBuffer(count: images * features)
        logits = FloatBuffer(count: images * classes)
        gradients = FloatBuffer(count: images * classes)
        results = ResultBuffer(images, ImageResult())
    }

    /// An image's features.
    func features(_ image: Int) -> UnsafeMutablePointer<Float> { featureValues.base + image * featureCount }

    /// The gradient of the batch's loss by an image's logits.
    func logitGradient(_ image: Int) -> UnsafeMutablePointer<Float> { gradients.base + image * classes }

    /// Computes an image's logits, loss and gradient from its features.
    func evaluate(
        _ image: Int, _ head: LinearHead, _ loss: ClassificationLoss, _ batch: BatchLoss, features: UnsafePointer<Float>
    ) {
        let imageLogits = logits.base + image * classes
        head.logits(features, into: imageLogits)
        let target = batch.batch.classes[image]
        results.base[image] = ImageResult(
            loss: loss.evaluate(
                imageLogits, classes: classes, target: target, weight: batch.share(image),
                gradient: logitGradient(image)),
            isRight: loss.isRight(imageLogits, classes: classes, target: target))
    }

    /// The loss and accuracy of the batch.
    ///
    /// - Throws: `ModelError` when the loss is not finite.
    func outcome(_ batch: BatchLoss, step: Int) throws -> StepOutcome {
        let results = UnsafeBufferPointer(start: self.results.base, count: batch.images)
        return try batch.outcome(results.map(\.loss), correct: results.count(where: \.isRight), step: step)
    }
}

/// An image's loss, and whether its prediction is correct.
struct ImageResult {
    var loss = 0.0
    var isRight = false
}

/// Memory for one result per image. The owner must not let two threads write the same element.
final class ResultBuffer<Result>: @unchecked Sendable {
    let base: UnsafeMutablePointer<Result>
    private let count: Int

    init(_ count: Int, _ value: Result) {
        self.count = count
        base = .allocate(capacity: count)
        base.initialize(repeating: value, count: count)
    }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
    }
}
