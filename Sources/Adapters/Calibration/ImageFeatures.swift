package import VisionTransformers

/// The features that one model gives of a task's images. Each image is computed once, and not at all where a cache has
/// its features.
package final class ImageFeatures {
    /// A cache with what the features depend on besides the pictures.
    package typealias Cached = (cache: FeatureCache, source: FeatureCache.Source)

    private let images: CalibrationImages
    private let cached: Cached?
    private let plan: () throws -> MultitaskModel
    private var width = 0
    private var values: [Float] = []
    private var isKnown: [Bool]

    /// Features that are computed when they are asked for.
    ///
    /// - Parameter plan: plans the model, which gives features; called only if something is computed.
    /// - Throws: `CancellationRequested`.
    package init(
        _ images: CalibrationImages, _ cached: Cached?, plan: @escaping () throws -> MultitaskModel
    ) throws {
        (self.images, self.cached, self.plan) = (images, cached, plan)
        isKnown = Array(repeating: false, count: images.count)
        guard let cached else { return }
        let pictures = try images.pictures(inputCount: cached.source.inputCount)
        guard let known = cached.cache.features(cached.source, of: pictures) else { return }
        begin(width: known.width)
        for (place, row) in known.rows { set(place, row[...]) }
    }

    /// The features of all images.
    package func all() throws -> FeatureTable { try tables([Array(0..<images.count)])[0] }

    /// The features of some sets of images.
    ///
    /// - Throws: errors of the plan; `ComputeError`, `CancellationRequested`.
    func tables(_ sets: [[Int]]) throws -> [FeatureTable] {
        let wanted = Set(sets.joined())
        // Again where a cache had features of another width, which are forgotten.
        while case let missing = wanted.filter({ !isKnown[$0] }).sorted(), !missing.isEmpty {
            try keep(images.features(plan(), missing), of: missing)
        }
        let table = FeatureTable(rows: images.count, width: width, values: values)
        return sets.map(table.selecting)
    }

    /// Takes the features of some images that the same model gave in a pass for something else.
    ///
    /// - Throws: `CancellationRequested`.
    func keep(_ table: FeatureTable, of indices: [Int]) throws {
        guard !indices.allSatisfy({ isKnown[$0] }) else { return }
        begin(width: table.width)
        for (row, index) in indices.enumerated() {
            set(index, table.values[row * table.width..<(row + 1) * table.width])
        }
        guard let cached else { return }
        let pictures = try images.pictures(inputCount: cached.source.inputCount)
        cached.cache.keep(table, of: indices.map { pictures[$0] }, cached.source)
    }

    private func begin(width: Int) {
        guard self.width != width else { return }
        self.width = width
        values = Array(repeating: 0, count: images.count * width)
        isKnown = Array(repeating: false, count: images.count)
    }

    private func set(_ index: Int, _ row: ArraySlice<Float>) {
        values.replaceSubrange(index * width..<(index + 1) * width, with: row)
        isKnown[index] = true
    }
}
