import Compute
import Files
import Tensors

extension Int8Agreement {
    /// The images in a batch for each thread: task streams are computed for several at once.
    private static let imagesPerThread = 4

    /// Compares two models with the same heads.
    ///
    /// - Parameters:
    ///   - images: the number of images.
    ///   - prepare: writes the patches of an image.
    /// - Throws: what `prepare` throws; `ComputeError` when a kernel fails.
    package init(
        of quantized: GroupedModel, with exact: GroupedModel, images: Int, threads: Int,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        let classes = quantized.classCount
        let batchSize = Self.imagesPerThread * threads
        var logits = [Float](repeating: 0, count: batchSize * classes)
        var expected = logits
        var same = [Int](repeating: 0, count: quantized.heads.count)
        var errors = quantized.heads.map { head in head.classes.map { _ in ValueErrors() } }
        let batches = ImageBatches(images, size: batchSize, inputCount: quantized.inputCount)
        try batches.forEach(reporting: "comparing images", prepare: prepare) { batch, patches in
            try quantized.run(patches, images: batch.count, logits: &logits)
            try exact.run(patches, images: batch.count, logits: &expected)
            for image in 0..<batch.count {
                var start = image * classes
                for (index, head) in quantized.heads.enumerated() {
                    let outputs = start..<start + head.classes.count
                    start = outputs.upperBound
                    switch head.activation {
                    case .softmax: if Self.label(logits[outputs]) == Self.label(expected[outputs]) { same[index] += 1 }
                    case .sigmoid:
                        if outputs.allSatisfy({ (logits[$0] >= 0) == (expected[$0] >= 0) }) { same[index] += 1 }
                    case .identity:
                        for (output, position) in outputs.enumerated() {
                            errors[index][output].add(Double(logits[position]), expected: Double(expected[position]))
                        }
                    }
                }
            }
        }
        let tasks = quantized.heads.enumerated().map { index, head in
            let share =
                head.activation == .identity
                ? ValueErrors.share(errors[index]) : Double(same[index]) / Double(max(images, 1))
            return OfTask(task: head.task, share: share)
        }
        self.init(images: images, tasks: tasks)
    }

    private static func label(_ logits: ArraySlice<Float>) -> Int? {
        logits.withUnsafeBufferPointer { Logits.argmax($0) }
    }
}
