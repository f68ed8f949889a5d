import Files
import Tensors

/// Images in batches: the loop around whatever a model computes of many images.
package struct ImageBatches {
    /// Writes the patches of some images, (images, inputCount).
    package typealias Fill = (_ images: Range<Int>, _ patches: UnsafeMutablePointer<Float>) throws -> Void
    /// Receives the patches of some images, (images, inputCount), valid during the call only.
    package typealias Body = (_ images: Range<Int>, _ patches: UnsafePointer<Float>) throws -> Void

    private let count: Int
    private let size: Int
    private let inputCount: Int

    /// Batches of `count` images.
    ///
    /// - Parameters:
    ///   - size: the number of images in a batch; the last one may have fewer.
    ///   - inputCount: the number of values of one image's patches.
    package init(_ count: Int, size: Int, inputCount: Int) {
        (self.count, self.size, self.inputCount) = (count, size, inputCount)
    }

    /// Fills and computes one batch after the other.
    package func forEach(fill: Fill, _ body: Body) throws {
        let patches = FloatBuffer(count: min(size, max(count, 1)) * inputCount)
        for start in stride(from: 0, to: count, by: size) {
            let images = start..<min(start + size, count)
            try fill(images, patches.base)
            try body(images, patches.base)
        }
    }

    /// Fills each batch image by image, and reports the progress.
    ///
    /// - Parameters:
    ///   - work: what the progress is called.
    ///   - prepare: writes the patches of an image.
    package func forEach(
        reporting work: String,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void, _ body: Body
    ) throws {
        try forEach(
            fill: { images, patches in
                try LongWork.report(work, images.lowerBound, of: count)
                for (place, image) in images.enumerated() {
                    let start = patches + place * inputCount
                    try prepare(image, UnsafeMutableBufferPointer(start: start, count: inputCount))
                }
            }, body)
    }
}

extension MultitaskModel {
    /// Computes the summaries of any number of images (see `TokenSummary`), and their features if these are wanted.
    ///
    /// - Parameters:
    ///   - count: the number of images.
    ///   - summaries: receives (count, summaryCount).
    ///   - features: receives (count, featureCount), or nil.
    ///   - fill: writes the patches of some images.
    /// - Throws: what `fill` throws; `ComputeError` when a kernel fails.
    package func computeSummaries(
        of count: Int, into summaries: UnsafeMutablePointer<Float>, features: UnsafeMutablePointer<Float>? = nil,
        fill: ImageBatches.Fill
    ) throws {
        try ImageBatches(count, size: Self.featureBatch, inputCount: inputCount).forEach(fill: fill) {
            images, patches in
            try run(
                patches, images: images.count, logits: nil,
                features: features.map { $0 + images.lowerBound * featureCount },
                summaries: summaries + images.lowerBound * summaryCount)
        }
    }

    /// The number of images whose features are computed at a time. The features do not depend on it.
    private static let featureBatch = 64

    /// Computes the features of any number of images.
    ///
    /// - Parameters:
    ///   - count: the number of images.
    ///   - width: the number of features to keep of each image, the first ones; nil for all.
    ///   - features: receives (count, width).
    ///   - fill: writes the patches of some images.
    /// - Throws: what `fill` throws; `ComputeError` when a kernel fails.
    package func computeFeatures(
        of count: Int, width: Int? = nil, into features: UnsafeMutablePointer<Float>, fill: ImageBatches.Fill
    ) throws {
        let width = width ?? featureCount
        let rows = FloatBuffer(count: width == featureCount ? 0 : min(Self.featureBatch, count) * featureCount)
        try ImageBatches(count, size: Self.featureBatch, inputCount: inputCount).forEach(fill: fill) {
            images, patches in
            let result = features + images.lowerBound * width
            guard width != featureCount else {
                return try run(patches, images: images.count, logits: nil, features: result)
            }
            try run(patches, images: images.count, logits: nil, features: rows.base)
            for row in 0..<images.count {
                (result + row * width).update(from: rows.base + row * featureCount, count: width)
            }
        }
    }
}
