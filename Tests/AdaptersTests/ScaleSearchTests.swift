import Testing
import VisionTransformers

@testable import Adapters

/// The scales that a study chooses.
@Suite struct ScaleSearchTests {
    let cases: CalibratorTests

    init() throws { cases = try CalibratorTests() }

    @Test func aSingleAdapterIsBestAtScaleOneFromWhereverTheSearchBegins() throws {
        let tuner = try cases.tuner()
        let alone = try cases.merge([cases.adapters[0]], scale: 0.5)
        for start in [0.1, 0.9, 1, 7] {
            var images = 0
            let found = try tuner.chooseScales(
                of: alone, among: [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2], near: start, aligning: [false], limit: 20
            ) { images += $0 }
            #expect(found == [1])
            // Twenty held-out images at each scale that was tried, which are never all of them.
            #expect(images % 20 == 0 && images < 7 * 20)
        }
    }

    @Test func theScaleIsThatOfTheExhaustiveSearch() throws {
        let (tuner, scales) = (try cases.tuner(), [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4])
        let both = try cases.merge(cases.adapters, scale: 1)
        let found = try tuner.chooseScales(
            of: both, among: scales, near: 0.7, aligning: [false, true], limit: 30
        ) { _ in }
        for (choice, aligning) in [false, true].enumerated() {
            let losses = try scales.map { scale in
                try tuner.chooseScale(of: both, among: [scale], aligning: aligning, limit: 30).losses[0].loss
            }
            let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
            #expect(found[choice] == scales[best], "\(aligning) \(losses)")
        }
    }

    @Test func alignmentTellsOfItsImages() throws {
        let tuner = try cases.tuner()
        let both = try cases.merge(cases.adapters, scale: 0.6)
        var images = 0
        let heads = try tuner.align(both) { images += $0 }.map(\.head)
        #expect(try heads == tuner.align(both).map(\.head) && images == 2 * 150)
    }

    @Test func aSearchThatIsToldToStopStops() throws {
        struct Stop: Error {}
        let tuner = try cases.tuner()
        let both = try cases.merge(cases.adapters, scale: 1)
        #expect(throws: Stop.self) {
            try tuner.chooseScales(of: both, among: [0.5, 1], near: 1, aligning: [true], limit: 10) { _ in
                throw Stop()
            }
        }
        #expect(try tuner.chooseScales(of: both, among: [], near: 1, aligning: [true], limit: 10) { _ in } == [1])
    }
}
