import Compute
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Adapters
@testable import VisionTransformers

/// Features that are kept in a folder for later commands.
@Suite struct FeatureCacheTests {
    private let scratch: TemporaryFolder
    private let base: Checkpoint
    private let adapters: [Adapter]
    private let passes = PassSettings(threads: 2)

    init() throws {
        scratch = try TemporaryFolder()
        let base = try Checkpoint(folder: casePath("base"))
        self.base = base
        adapters = try ["a", "b"].map { try Adapter(task: $0, path: casePath($0), base: base) }
    }

    private func cache(limit: Int = 1 << 20, _ warn: @escaping (Warning) -> Void = { _ in }) throws -> FeatureCache {
        try FeatureCache(FeatureCache.Settings(folder: scratch.path("cache"), limit: limit), warn)
    }

    private func source(_ adapter: Adapter?, precision: OperandType = .f32) throws -> FeatureCache.Source {
        try FeatureCache.Source(
            base, adapter, imageSize: base.configuration.imageSize,
            passes: PassSettings(threads: 2, precision: precision))
    }

    private func pictures(_ numbers: Range<Int>) -> [FeatureCache.Picture] {
        numbers.map { number in [Float(number)].withUnsafeBufferPointer { FeatureCache.Picture($0) } }
    }

    /// A table whose rows begin with some numbers.
    private func table(_ numbers: Range<Int>, width: Int = 4) -> FeatureTable {
        FeatureTable(
            rows: numbers.count, width: width,
            values: numbers.flatMap { number in (0..<width).map { Float(number) + Float($0) / 8 } })
    }

    /// The sizes of the cache's files, and the names.
    private func files() throws -> [String: Int] {
        try FileManager.default.contentsOfDirectory(atPath: scratch.path("cache")).reduce(into: [:]) { sizes, name in
            sizes[name] = FileStatus(path: scratch.path("cache/\(name)"))?.size
        }
    }

    @Test func rowsAreFoundByPictureAndModel() throws {
        let cache = try cache()
        let (a, b) = (try source(adapters[0]), try source(adapters[1]))
        #expect(cache.features(a, of: pictures(0..<3)) == nil)
        cache.keep(table(0..<3), of: pictures(0..<3), a)
        cache.keep(table(2..<5), of: pictures(2..<5), a)
        let found = try #require(try self.cache().features(a, of: pictures(1..<9)))
        #expect(found.width == 4 && found.rows.map(\.place) == [0, 1, 2, 3])
        #expect(found.rows.flatMap(\.values) == table(1..<5).values)
        #expect(cache.features(b, of: pictures(0..<3)) == nil)
        #expect(cache.features(try source(nil), of: pictures(0..<3)) == nil)
        #expect(cache.features(try source(adapters[0], precision: .bf16), of: pictures(0..<3)) == nil)
        // Another width is another model, whatever else says so.
        cache.keep(table(0..<2, width: 3), of: pictures(0..<2), a)
        #expect(cache.features(a, of: pictures(0..<5))?.rows.map(\.place) == [0, 1])
    }

    /// A file that is cut short, or whose bytes have changed, is taken for none.
    @Test(arguments: [true, false]) func damagedFilesAreNotRead(isCut: Bool) throws {
        let (cache, source) = (try cache(), try source(adapters[0]))
        cache.keep(table(0..<20), of: pictures(0..<20), source)
        let path = scratch.path("cache/\(try #require(files().keys.first))")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        if isCut { bytes.removeLast(4) } else { bytes[bytes.count - 3] ^= 1 }
        try bytes.write(to: URL(fileURLWithPath: path))
        #expect(cache.features(source, of: pictures(0..<20)) == nil)
        cache.keep(table(0..<2), of: pictures(0..<2), source)
        #expect(cache.features(source, of: pictures(0..<20))?.rows.count == 2)
    }

    @Test func theFilesUsedLongestAgoMakeRoom() throws {
        let sources = try [source(nil), source(adapters[0]), source(adapters[1])]
        let size = 100 * (16 + 4 * 4)
        let limit = 2 * (size + 2000)
        let cache = try cache(limit: limit) { Issue.record("\($0)") }
        for (index, source) in sources.enumerated() {
            cache.keep(table(0..<100), of: pictures(0..<100), source)
            #expect(try files().values.reduce(0, +) <= limit && files().count == min(index + 1, 2))
            // The first is used again, so that the second goes when the third comes.
            guard index == 1 else { continue }
            for name in try files().keys {
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1_000_000_000)],
                    ofItemAtPath: scratch.path("cache/\(name)"))
            }
            #expect(cache.features(sources[0], of: pictures(0..<1)) != nil)
        }
        #expect(sources.map { cache.features($0, of: pictures(0..<1)) != nil } == [true, false, true])
        // Where old rows and new ones do not fit together, the new ones stay.
        cache.keep(table(100..<300), of: pictures(100..<300), sources[2])
        #expect(try files().values.reduce(0, +) <= limit)
        #expect(cache.features(sources[2], of: pictures(0..<300))?.rows.map(\.place) == Array(100..<300))
    }

    @Test func whatIsLargerThanTheBoundIsNotKept() throws {
        let warnings = Mutex<[String]>([])
        let cache = try cache(limit: 4000) { warning in warnings.withLock { $0.append(warning.text) } }
        let source = try source(adapters[0])
        for _ in 0..<2 { cache.keep(table(0..<200), of: pictures(0..<200), source) }
        let folder = scratch.path("cache")
        #expect(try files().isEmpty)
        #expect(
            warnings.withLock(\.self) == [
                "features of 200 images are not kept: they are 6400 bytes, and \(folder) may have 4000"
            ])
        // What does not fit does not displace what is there.
        cache.keep(table(0..<9), of: pictures(0..<9), source)
        cache.keep(table(0..<200), of: pictures(0..<200), source)
        #expect(cache.features(source, of: pictures(0..<200))?.rows.count == 9)
    }

    @Test func aFolderOfOtherFilesIsRefused() throws {
        try scratch.write("cache/picture.png", [1])
        #expect {
            _ = try cache()
        } throws: { error in
            "\(error)".hasSuffix("holds \"picture.png\", which is no file of a feature cache; give a folder of its own")
        }
        try scratch.remove("cache")
        try scratch.write("cache", [1])
        #expect(throws: FileError.self) { _ = try cache() }
    }

    // MARK: Features of models

    private func images(_ task: String, count: Int = 60, first: Int = 0) -> CalibrationImages {
        CalibrationImages(task: task, count: count) { index, patches in
            var noise = Noise(state: UInt64(first + index + 1) &* 77_777)
            for position in patches.indices { patches[position] = noise.next() }
        }
    }

    private func features(_ images: CalibrationImages, _ cached: ImageFeatures.Cached?) throws -> ImageFeatures {
        try ImageFeatures(images, cached) { [base, passes] in
            try MultitaskModel(
                base, configuration: base.configuration, imageSize: base.configuration.imageSize, passes: passes,
                outputs: .features)
        }
    }

    /// Each image is computed once, in the bits of a pass over all, and not at all once it is kept.
    @Test func featuresAreComputedOnce() throws {
        let cached = (try cache(), try source(nil))
        let expected = try features(images("a"), nil).all()
        let early = try features(images("a"), cached).tables([[3, 50, 1], [1, 7]])
        #expect(early[0].values == expected.selecting([3, 50, 1]).values)
        #expect(early[1].values == expected.selecting([1, 7]).values)
        let name = try #require(try files().keys.first)
        let few = try #require(try files()[name])
        #expect(try features(images("a"), cached).all().values == expected.values)
        #expect(try #require(try files()[name]) > few)
        // Another task's images, of which some are the same pictures.
        let planned = try ImageFeatures(images("b", count: 40, first: 20), cached) {
            throw ModelError("model", "is planned")
        }
        #expect(try planned.all().values == expected.selecting(Array(20..<60)).values)
        let other = try ImageFeatures(images("b", count: 41, first: 20), cached) {
            throw ModelError("model", "is planned")
        }
        #expect(throws: ModelError.self) { try other.all() }
        // A file whose features are of another number than the model gives is not mixed with its own.
        let pictures = try images("a").pictures(inputCount: cached.1.inputCount)
        cached.0.keep(table(0..<9), of: Array(pictures[..<9]), cached.1)
        #expect(try features(images("a"), cached).all().values == expected.values)
        #expect(try features(images("a"), cached).all().values == expected.values)
    }

    /// What a merge makes of the images is the same whether single adapters are computed or read, and reading is what
    /// happens.
    @Test func aTunerReadsWhatAnotherHasComputed() throws {
        let weighted = adapters.map { WeightedAdapter($0) }
        func tuner(_ cache: FeatureCache?) throws -> MergeTuner {
            try MergeTuner(
                base: base, adapters: weighted, images: weighted.map { images($0.adapter.task) },
                imageSize: base.configuration.imageSize, passes: passes, cache: cache)
        }
        let merged = try MergedBackbone(base: base, adapters: weighted, merge: .sum(0.5))
        let expected = try tuner(nil).align(merged).map(\.head)
        #expect(try tuner(cache()).align(merged).map(\.head) == expected)
        #expect(try tuner(cache()).align(merged).map(\.head) == expected)
        #expect(try files().count == 2)
        // Other features in the folder give other heads.
        let cached = (cache: try cache(), source: try source(adapters[0]))
        let own = try tuner(nil).single("a").all()
        let changed = FeatureTable(rows: own.rows, width: own.width, values: own.values.map { 1 - $0 })
        let pictures = try images("a").pictures(inputCount: cached.source.inputCount)
        cached.cache.keep(changed, of: pictures, cached.source)
        let heads = try tuner(cache()).align(merged).map(\.head)
        #expect(heads[0] != expected[0] && heads[1] == expected[1])
    }
}
