import Tensors

/// What a step holds of each image of a batch. Several threads may write to it at once, each about images of its own.
final class BatchMemory: Sendable {
    /// How many images it has room for.
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

    /// Where an image's features are kept.
    func features(_ image: Int) -> UnsafeMutablePointer<Float> { featureValues.base + image * featureCount }

    /// The gradient of the batch's loss by an image's logits.
    func logitGradient(_ image: Int) -> UnsafeMutablePointer<Float> { gradients.base + image * classes }

    /// Computes an image's logits, loss and gradient from its features, by default those that are kept here.
    func evaluate(
        _ image: Int, _ head: LinearHead, _ loss: ClassificationLoss, _ batch: BatchLoss,
        features: UnsafePointer<Float>? = nil
    ) {
        let own = logits.base + image * classes
        head.logits(features ?? UnsafePointer(self.features(image)), into: own)
        let target = batch.batch.classes[image]
        results.base[image] = ImageResult(
            loss: loss.evaluate(
                own, classes: classes, own: target, weight: batch.share(image), gradient: logitGradient(image)),
            isRight: loss.isRight(own, classes: classes, own: target))
    }

    /// What the batch came to.
    ///
    /// - Throws: `ModelError` when the loss is not finite.
    func outcome(_ batch: BatchLoss, step: Int) throws -> StepOutcome {
        let own = UnsafeBufferPointer(start: results.base, count: batch.images)
        return try batch.outcome(own.map(\.loss), correct: own.count(where: \.isRight), step: step)
    }
}

/// An image's loss, and whether it was given what it shows.
struct ImageResult {
    var loss = 0.0
    var isRight = false
}

/// Memory for results of many images; who writes where is the owner's business.
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
