import Compute
import Tensors
import TestSupport
import Testing

@testable import Adapters
@testable import VisionTransformers

/// Fits from a pass of their own, and from the one that looked for near-duplicates.
@Suite struct TaskFitterTests {
    private let base: Checkpoint
    private let passes = PassSettings(threads: 2)
    private let images = CalibrationImages(task: "a", count: 70) { index, patches in
        var noise = Noise(state: UInt64(index + 1) &* 77_777)
        for position in patches.indices { patches[position] = noise.next() }
    }

    init() throws { base = try Checkpoint(folder: casePath("base")) }

    private func model(_ outputs: ModelOutputs) throws -> MultitaskModel {
        try MultitaskModel(
            base, configuration: base.configuration, imageSize: base.configuration.imageSize, passes: passes,
            outputs: outputs)
    }

    @Test func onePassGivesTheBitsOfTwo() throws {
        let all = Array(0..<images.count)
        let both = try images.featuresAndSummaries(model(.features))
        let features = try images.features(model(.features), all)
        let summaries = try images.summaries(model([]), all)
        #expect(both.features.values == features.values && both.features.width == features.width)
        #expect(both.summaries.values == summaries.values && both.summaries.width == summaries.width)
        #expect(Set(summaries.values).count > images.count)
    }

    @Test func fitsAreTheSameFromKnownSummaries() throws {
        let fitter = TaskFitter(
            base, configuration: base.configuration, imageSize: base.configuration.imageSize, passes: passes)
        let found = try images.featuresAndSummaries(model(.features))
        let grouped = images.grouped(
            as: try found.features.nearDuplicates(columns: base.configuration.hiddenSize))
        #expect(grouped.indices(heldOut: true).count >= 10)
        let computed = try fitter.fit([grouped])
        let known = try fitter.fit([grouped], summaries: ["a": found.summaries])
        #expect(Array(known.background.mean.elements) == Array(computed.background.mean.elements))
        // Other tests change the number of threads that sums of products are divided among.
        let scores = try [known, computed].map { try #require($0.tasks["a"]).heldOut }
        #expect(scores[0].count == grouped.indices(heldOut: true).count)
        #expect(zip(scores[0], scores[1]).allSatisfy { abs($0 - $1) <= 1e-3 * (1 + abs($1)) }, "\(scores)")
        // Other summaries give other fits, so they are what is read.
        let other = FeatureTable(
            rows: found.summaries.rows, width: found.summaries.width, values: found.summaries.values.map { 2 * $0 })
        let changed = try fitter.fit([grouped], summaries: ["a": other])
        #expect(Array(changed.background.mean.elements) != Array(computed.background.mean.elements))
    }
}
