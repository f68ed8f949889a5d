import Compute
import Files
import Tensors

/// The logits that a model gives for some images, to be compared with those of another.
package struct ModelLogits {
    /// The images in a batch for each thread: task streams are computed for several at once.
    private static let imagesPerThread = 4

    /// The heads in the order of the logits.
    package let heads: [Head]
    private let classes: Int
    /// How many images there are.
    package let images: Int
    /// (images, C).
    private var values: [Float]
    /// What the heads read, if that was asked for, else empty: (images, F).
    private let features: [Float]
    private let featureCount: Int
    /// The columns of the features that each head reads.
    private let featureColumns: [Range<Int>]
    /// Multiplications and additions of one image's matrix products.
    package let operationsPerImage: Double

    /// Computes the logits of images.
    ///
    /// - Parameters:
    ///   - images: the number of images.
    ///   - keepsFeatures: whether what the heads read is kept, for other heads.
    ///   - prepare: writes the patches of an image.
    /// - Throws: what `prepare` throws; `ComputeError` when a kernel fails.
    package init(
        _ model: GroupedModel, images: Int, threads: Int, keepsFeatures: Bool = false,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        (heads, classes, self.images) = (model.heads, model.classCount, images)
        operationsPerImage = model.operationsPerImage
        featureCount = model.featureCount
        featureColumns = model.heads.indices.map { head in
            model.featureColumns.first { $0.heads.contains(head) }?.columns ?? 0..<0
        }
        let (classes, featureCount) = (classes, featureCount)
        var values = [Float](repeating: 0, count: images * classes)
        var features = [Float](repeating: 0, count: keepsFeatures ? images * featureCount : 0)
        let batches = ImageBatches(images, size: Self.imagesPerThread * threads, inputCount: model.inputCount)
        try batches.forEach(reporting: "comparing images", prepare: prepare) { batch, patches in
            try values.withUnsafeMutableBufferPointer { values in
                try features.withUnsafeMutableBufferPointer { features in
                    guard let base = values.baseAddress else { return }
                    try model.run(
                        patches, images: batch.count, logits: base + batch.lowerBound * classes,
                        features: keepsFeatures
                            ? features.baseAddress.map { $0 + batch.lowerBound * featureCount } : nil)
                }
            }
        }
        (self.values, self.features) = (values, features)
    }

    /// What a head reads of some of the images, if features were kept: (images, columns).
    package func features(of head: Int, images: [Int]) -> (width: Int, values: [Float]) {
        let columns = featureColumns[head]
        let values = images.flatMap { image in
            features[image * featureCount + columns.lowerBound..<image * featureCount + columns.upperBound]
        }
        return (columns.count, values)
    }

    /// The same logits, with those of one task replaced.
    ///
    /// - Parameters:
    ///   - position: the task's place among the heads.
    ///   - logits: gives an image's logits for the task's classes.
    package func replacing(_ position: Int, logits: (_ image: Int) -> [Double]) -> ModelLogits {
        var result = self
        let first = heads[..<position].reduce(0) { $0 + $1.classes.count }
        for image in 0..<images {
            for (label, value) in logits(image).enumerated() {
                result.values[image * classes + first + label] = Float(value)
            }
        }
        return result
    }

    /// The squared difference from the logits of another model with the same heads, as a share of the variance of
    /// these over the images; the mean over the heads. What a softmax does not see, the same change of all logits, is
    /// left out.
    package func squaredError(from exact: ModelLogits) -> Double {
        var (start, sum) = (0, 0.0)
        for head in heads {
            let outputs = start..<start + head.classes.count
            start = outputs.upperBound
            let (found, expected) = (rows(of: outputs, head.activation), exact.rows(of: outputs, head.activation))
            var (error, variance) = (0.0, 0.0)
            for output in 0..<outputs.count {
                let mean = expected.reduce(0) { $0 + $1[output] } / Double(max(images, 1))
                for (a, b) in zip(found, expected) {
                    error += (a[output] - b[output]) * (a[output] - b[output])
                    variance += (b[output] - mean) * (b[output] - mean)
                }
            }
            if variance > 0 { sum += error / variance }
        }
        return sum / Double(max(heads.count, 1))
    }

    /// The logits of one head for each image; of a softmax without their mean.
    private func rows(of outputs: Range<Int>, _ activation: HeadActivation) -> [[Double]] {
        (0..<images).map { image in
            let row = outputs.map { Double(values[image * classes + $0]) }
            guard activation == .softmax else { return row }
            let mean = row.reduce(0, +) / Double(max(row.count, 1))
            return row.map { $0 - mean }
        }
    }

    /// How many labels are those of another model with the same heads, for some of the images.
    ///
    /// - Parameter owners: the task of each image, or nil for any; a task that has images of its own is compared on
    ///   these alone. Empty if none has.
    package func agreement(
        with exact: ModelLogits, on images: some Collection<Int>, owners: [String?] = []
    ) -> LabelAgreement {
        var tasks: [LabelAgreement.OfTask] = []
        var start = 0
        for head in heads {
            let outputs = start..<start + head.classes.count
            start = outputs.upperBound
            let own = owners.isEmpty ? [] : images.filter { owners[$0] == head.task }
            let compared = own.isEmpty ? Array(images) : own
            var same = 0
            var errors = head.classes.map { _ in ValueErrors() }
            for image in compared {
                let found = values[image * classes + outputs.lowerBound..<image * classes + outputs.upperBound]
                let expected = exact.values[found.startIndex..<found.endIndex]
                switch head.activation {
                case .softmax: if Self.label(found) == Self.label(expected) { same += 1 }
                case .sigmoid: if zip(found, expected).allSatisfy({ ($0 >= 0) == ($1 >= 0) }) { same += 1 }
                case .identity:
                    for (output, pair) in zip(found, expected).enumerated() {
                        errors[output].add(Double(pair.0), expected: Double(pair.1))
                    }
                }
            }
            let share =
                head.activation == .identity
                ? ValueErrors.share(errors) : Double(same) / Double(max(compared.count, 1))
            tasks.append(.init(task: head.task, share: share))
        }
        return LabelAgreement(images: images.count, tasks: tasks)
    }

    private static func label(_ logits: ArraySlice<Float>) -> Int? {
        logits.withUnsafeBufferPointer { Logits.argmax($0) }
    }
}
