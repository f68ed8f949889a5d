import Files
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

@Suite struct PositionTests {
    /// (1, prefix + side², width) of repeatable noise.
    func table(side: Int, prefix: Int = 1, width: Int = 3) -> Tensor {
        var state: UInt32 = 7
        let values = (0..<(prefix + side * side) * width).map { _ -> Float in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 23) - 1
        }
        return Tensor(shape: [1, prefix + side * side, width], values: values)
    }

    func resampled(_ table: Tensor, prefix: Int, height: Int, width: Int, antialiased: Bool = false) -> Tensor {
        let channels = table.shape[2]
        let values = PositionEmbeddings.resampled(
            table.values, width: channels, prefix: prefix, grid: .init(height: height, width: width),
            isAntialiased: antialiased)
        return Tensor(shape: [1, values.count / channels, channels], values: values)
    }

    @Test(arguments: [false, true]) func theSameGridIsTheSameTable(_ antialiased: Bool) {
        for side in [1, 2, 7] {
            let table = table(side: side, prefix: 2)
            let same = resampled(table, prefix: 2, height: side, width: side, antialiased: antialiased)
            #expect(same == table)
        }
    }

    @Test(arguments: [(4, 4), (1, 9), (16, 3), (2, 2), (1, 1), (40, 37)])
    func aConstantStaysConstantAndPrefixTokensStay(_ height: Int, _ width: Int) {
        var table = table(side: 7)
        for index in 3..<table.count { table.values[index] = 0.625 }
        for antialiased in [false, true] {
            let result = resampled(table, prefix: 1, height: height, width: width, antialiased: antialiased)
            #expect(result.shape == [1, 1 + height * width, 3])
            #expect(result.values[..<3] == table.values[..<3])
            #expect(result.values[3...].allSatisfy { abs($0 - 0.625) < 1e-6 })
        }
    }

    @Test func resamplingCommutesWithTurningTheGrid() {
        let (side, height, width) = (5, 8, 3)
        let table = table(side: side, prefix: 0, width: 1)
        let straight = resampled(table, prefix: 0, height: height, width: width)
        func turned(_ values: [Float], _ height: Int, _ width: Int) -> [Float] {
            (0..<width).flatMap { x in (0..<height).map { y in values[y * width + x] } }
        }
        let transposed = resampled(
            Tensor(shape: table.shape, values: turned(table.values, side, side)), prefix: 0, height: width,
            width: height)
        let reversed = resampled(
            Tensor(shape: table.shape, values: table.values.reversed()), prefix: 0, height: height, width: width)
        func near(_ a: [Float], _ b: [Float]) -> Bool { zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 } }
        #expect(near(transposed.values, turned(straight.values, height, width)))
        #expect(near(reversed.values, straight.values.reversed()))
    }

    @Test func everyTableIsTheSumOfItsParts() {
        let (one, other) = (table(side: 4), table(side: 4, prefix: 1))
        let sum = Tensor(shape: one.shape, values: zip(one.values, other.values.reversed()).map(+))
        let reversed = Tensor(shape: one.shape, values: other.values.reversed())
        let parts = zip(
            resampled(one, prefix: 1, height: 6, width: 5).values,
            resampled(reversed, prefix: 1, height: 6, width: 5).values
        ).map(+)
        let whole = resampled(sum, prefix: 1, height: 6, width: 5).values
        #expect(zip(whole, parts).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    /// A model of a family whose positions are fixed takes images of one size only.
    @Test(arguments: ["vit", "deit"]) func imagesOfAnotherSizeAreRefused(_ name: String) throws {
        var draft = try CheckpointDraft(name)
        for (height, width) in [(40, 40), (32, 40), (24, 32), (33, 33), (4, 4)] {
            draft.preprocessing["size"] = .object(["height": .int(height), "width": .int(width)])
            let folder = try draft.written()
            let bundle = try ModelBundle(folder: folder.path)
            let said = message { _ = try bundle.model(threads: 1) }
            #expect(said.contains("gives images of \(height) x \(width)"), "\(said)")
            #expect(said.contains("32 x 32"), "\(said)")
        }
    }

    @Test func positionsThatCanBeResampledTakeAnySizeOfAPatchAndMore() throws {
        var draft = try CheckpointDraft("dinov2")
        for (height, width, tokens) in [(40, 40, 26), (24, 64, 25), (8, 8, 2), (47, 15, 6)] {
            draft.preprocessing["size"] = .object(["height": .int(height), "width": .int(width)])
            let folder = try draft.written()
            #expect(try ModelBundle(folder: folder.path).model(threads: 1).hiddenShape == [tokens, 48])
        }
        draft.preprocessing["size"] = .object(["height": .int(7), "width": .int(64)])
        let folder = try draft.written()
        let bundle = try ModelBundle(folder: folder.path)
        #expect(message { _ = try bundle.model(threads: 1) }.contains("gives images of 7 x 64, patches are 8 x 8"))
    }

    @Test func aGridThatIsNotSquareIsNotResampled() throws {
        var draft = try CheckpointDraft("dinov2")
        draft.configuration["image_size"] = .array([.int(16), .int(24)])
        let index = try #require(draft.tensors.firstIndex { $0.name.hasSuffix("position_embeddings") })
        draft.tensors[index] = .init(draft.tensors[index].name, shape: [1, 7, 48])
        let folder = try draft.written()
        let bundle = try ModelBundle(folder: folder.path)
        let said = message { _ = try bundle.model(threads: 1) }
        #expect(said.contains("image_size 16 x 24"), "\(said)")
    }
}
