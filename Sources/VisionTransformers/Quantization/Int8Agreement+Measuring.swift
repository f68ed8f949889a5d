import Compute
import Files
import Tensors

extension Int8Agreement {
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
        let (count, classes) = (quantized.inputCount, quantized.classCount)
        let patches = FloatBuffer(count: threads * count)
        var logits = [Float](repeating: 0, count: threads * classes)
        var expected = logits
        var same = [Int](repeating: 0, count: quantized.heads.count)
        var errors = quantized.heads.map { head in head.classes.map { _ in ValueErrors() } }
        for first in stride(from: 0, to: images, by: threads) {
            try LongWork.report("comparing images", first, of: images)
            let batch = min(threads, images - first)
            for image in 0..<batch {
                try prepare(
                    first + image, UnsafeMutableBufferPointer(start: patches.base + image * count, count: count))
            }
            try quantized.run(patches.base, images: batch, logits: &logits)
            try exact.run(patches.base, images: batch, logits: &expected)
            for image in 0..<batch {
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
