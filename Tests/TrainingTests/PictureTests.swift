import Compute
import Foundation
import Images
import Tensors
import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Pictures in memory, and what a classifier is shown of them.
@Suite struct PictureTests {
    let items: [LabelledImages.Item]
    let preparer: PatchPreparer

    init() throws {
        let images = ["flowers", "signs"].enumerated().flatMap { label, name in
            ((try? FileManager.default.contentsOfDirectory(atPath: "\(Samples.folder)/images/\(name)")) ?? []).sorted()
                .map { LabelledImages.Item(path: BytePath("\(Samples.folder)/images/\(name)/\($0)"), class: label) }
        }
        items = images + [LabelledImages.Item(path: BytePath("\(Samples.folder)/README.md"), class: 1)]
        let base = try Checkpoint(folder: Samples.folder + "/base")
        preparer = PatchPreparer(
            try base.preprocessing(), configuration: base.configuration, decoding: DecodingOptions())
    }

    private func store(_ form: PictureStore.Form = .prepared, threads: Int = 1) throws -> PictureStore {
        try PictureStore(items, preparer: preparer, form: form, pool: WorkerPool(workers: threads)) { _ in }
    }

    private func values(_ examples: some Examples, _ example: Int, epoch: Int = 0) -> [Float] {
        let buffer = FloatBuffer(count: examples.inputCount)
        examples.write(example, epoch: epoch, into: buffer.elements)
        return Array(buffer.elements)
    }

    @Test func withoutChangesTheValuesAreThoseOfLabelling() throws {
        let store = try store()
        #expect(store.pictures.count == items.count - 1 && store.classes == items.dropLast().map(\.class))
        let examples = PictureExamples(store, preparer: preparer, augmentation: Augmentation(), seed: 0)
        for (index, item) in items.dropLast().enumerated() {
            let expected = FloatBuffer(count: preparer.valuesPerImage)
            let file = try MappedFile(path: "\(item.path)")
            try preparer.prepare(file.bytes, into: expected.elements)
            #expect(values(examples, index, epoch: index) == Array(expected.elements))
        }
    }

    @Test func filesThatCannotBeUsedAreNamedAndCounted() throws {
        let store = try store()
        #expect(store.skipped.map { "\($0.path)" } == ["\(Samples.folder)/README.md"])
        #expect(store.skipped[0].reason == "not a picture but a text file")
        #expect(store.fingerprint.split(separator: "\n").count == items.count)
    }

    @Test func threadsChangeNothing() throws {
        let augmentation = Augmentation(crops: true, flips: true)
        let kept = PictureStore.Form.forCrops(augmentation, bytesPerPicture: 30_000)
        let (one, three) = (try store(kept), try store(kept, threads: 3))
        #expect(one.pictures == three.pictures && one.fingerprint == three.fingerprint)
    }

    @Test func changesDifferByEpochAndImageAndSeed() throws {
        let augmentation = Augmentation(crops: true, flips: true)
        let store = try store(.forCrops(augmentation, bytesPerPicture: 1 << 20))
        let examples = PictureExamples(store, preparer: preparer, augmentation: augmentation, seed: 1)
        let other = PictureExamples(store, preparer: preparer, augmentation: augmentation, seed: 2)
        #expect(values(examples, 0, epoch: 4) == values(examples, 0, epoch: 4))
        #expect(values(examples, 0, epoch: 4) != values(examples, 0, epoch: 5))
        #expect(values(examples, 0, epoch: 4) != values(other, 0, epoch: 4))
    }

    @Test func picturesBecomeSmallerWhereMemoryIsShort() throws {
        let augmentation = Augmentation(crops: true)
        func sizes(_ bytes: Int) throws -> [Int] {
            try store(.forCrops(augmentation, bytesPerPicture: bytes)).pictures.map(\.pixels.count)
        }
        let (large, middle, small) = (try sizes(1 << 30), try sizes(30_000), try sizes(1))
        #expect(middle.allSatisfy { $0 <= 30_000 } && zip(middle, large).allSatisfy { $0 <= $1 })
        // Never smaller than the model's own, unless the file is.
        #expect(zip(small, large).allSatisfy { $0 >= min($1, 64 * 64 * 3) })
    }
}
