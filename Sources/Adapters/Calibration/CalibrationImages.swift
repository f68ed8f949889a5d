import Files
import Synchronization
import Tensors
package import VisionTransformers

/// Images of one task, ready for the backbone. Only what models say of them is used, unless classes are given.
package struct CalibrationImages: Sendable {
    /// The task.
    package let task: String
    /// How many images there are.
    package let count: Int
    /// The true class of each image, as the head counts them, if a scale is to be chosen by labels.
    package let classes: [Int]?
    /// Writes the patches of an image into a buffer of the model's `inputCount`. Called from one thread.
    package let prepare: @Sendable (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) -> Void
    /// Writes the patches of an image as it looks in a pass over the images, cropped or mirrored at random. The same
    /// image and pass give the same patches; it may be called from several threads at once.
    package let view: View

    /// Writes the patches of a view of an image.
    package typealias View = @Sendable (_ image: Int, _ pass: Int, _ patches: UnsafeMutableBufferPointer<Float>) -> Void

    /// Which of them are alike, and so fitted or held out together.
    package let groups: ImageGroups
    /// Which of them are held out.
    private let isHeldOut: [Bool]
    private let digests: Digests

    /// What identifies the pictures, once somebody has asked for it.
    private final class Digests: Sendable {
        let pictures = Mutex<[FeatureCache.Picture]?>(nil)
    }

    /// A task's images; without views they look the same in every pass, and without groups no two are alike.
    package init(
        task: String, count: Int, classes: [Int]? = nil, groups: ImageGroups? = nil, view: View? = nil,
        prepare: @escaping @Sendable (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) -> Void
    ) {
        self.init(
            task: task, count: count, classes: classes, groups: groups, view: view, digests: Digests(),
            prepare: prepare)
    }

    private init(
        task: String, count: Int, classes: [Int]?, groups: ImageGroups?, view: View?, digests: Digests,
        prepare: @escaping @Sendable (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) -> Void
    ) {
        self.task = task
        self.digests = digests
        self.count = count
        self.classes = classes
        self.prepare = prepare
        self.groups = groups ?? ImageGroups(alone: count)
        isHeldOut = self.groups.heldOut
        self.view = view ?? { image, _, patches in prepare(image, patches) }
    }

    /// The same images in groups, which the caller guarantees to be of as many images.
    package func grouped(as groups: ImageGroups) -> CalibrationImages {
        CalibrationImages(
            task: task, count: count, classes: classes, groups: groups, view: view, digests: digests, prepare: prepare)
    }

    /// What identifies each picture for a cache, which is computed once.
    ///
    /// - Parameter inputCount: how many values `prepare` writes.
    /// - Throws: `CancellationRequested`.
    func pictures(inputCount: Int) throws -> [FeatureCache.Picture] {
        try digests.pictures.withLock { known in
            if let known { return known }
            let patches = FloatBuffer(count: inputCount)
            let pictures = try (0..<count).map { index in
                try LongWork.report("hashing images of \(task)", index, of: count)
                let values = UnsafeMutableBufferPointer(start: patches.base, count: inputCount)
                prepare(index, values)
                return FeatureCache.Picture(UnsafeBufferPointer(values))
            }
            known = pictures
            return pictures
        }
    }

    /// The images that are fitted, or those that are held out, at most `limit` of them, evenly spread.
    package func indices(heldOut: Bool, limit: Int = .max) -> [Int] {
        let all = (0..<count).filter { isHeldOut[$0] == heldOut }
        guard all.count > limit else { return all }
        return (0..<limit).map { all[$0 * all.count / limit] }
    }

    /// The features that a model gives of some of the images, (images, featureCount).
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    func features(_ model: MultitaskModel, _ indices: [Int]) throws -> FeatureTable {
        try table(model, indices, width: model.featureCount) {
            try model.computeFeatures(of: indices.count, into: $0, fill: $1)
        }
    }

    /// The summaries that a model makes of some of the images, (images, summaryCount).
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    func summaries(_ model: MultitaskModel, _ indices: [Int]) throws -> FeatureTable {
        try table(model, indices, width: model.summaryCount) {
            try model.computeSummaries(of: indices.count, into: $0, fill: $1)
        }
    }

    /// The features and the summaries of all images.
    package typealias Tables = (features: FeatureTable, summaries: FeatureTable)

    /// The features and the summaries of all images, from one pass.
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    package func featuresAndSummaries(_ model: MultitaskModel) throws -> Tables {
        let features = FloatBuffer(count: count * model.featureCount)
        let summaries = try table(model, Array(0..<count), width: model.summaryCount) {
            try model.computeSummaries(of: count, into: $0, features: features.base, fill: $1)
        }
        return (FeatureTable(rows: count, width: model.featureCount, values: Array(features.elements)), summaries)
    }

    private func table(
        _ model: MultitaskModel, _ indices: [Int], width: Int,
        compute: (UnsafeMutablePointer<Float>, ImageBatches.Fill) throws -> Void
    ) throws -> FeatureTable {
        let values = FloatBuffer(count: indices.count * width)
        try compute(values.base) { images, patches in
            try LongWork.report("computing images of \(task)", images.lowerBound, of: indices.count)
            for (place, index) in indices[images].enumerated() {
                let start = patches + place * model.inputCount
                prepare(index, UnsafeMutableBufferPointer(start: start, count: model.inputCount))
            }
        }
        return FeatureTable(rows: indices.count, width: width, values: Array(values.elements))
    }
}

/// What a model made of some images, a row each.
package struct FeatureTable: Sendable {
    let rows: Int
    let width: Int
    let values: [Float]

    /// A table of `rows` rows of `width` values.
    package init(rows: Int, width: Int, values: [Float]) {
        (self.rows, self.width, self.values) = (rows, width, values)
    }

    /// A table of some of the rows.
    func selecting(_ indices: [Int]) -> FeatureTable {
        FeatureTable(
            rows: indices.count, width: width, values: indices.flatMap { values[$0 * width..<($0 + 1) * width] })
    }

    /// The logits that a head gives of a row; it reads the first elements of it.
    package func logits(_ row: Int, _ head: Head) -> [Double] {
        let columns = head.weight.shape[1]
        return head.classes.indices.map { label in
            var sum = Double(head.bias.values[label])
            for column in 0..<columns {
                sum += Double(head.weight.values[label * columns + column]) * Double(values[row * width + column])
            }
            return sum
        }
    }
}
