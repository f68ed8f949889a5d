import Compute
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Token merging in the forward pass.
@Suite struct TokenMergingTests {
    private static let size = ImageSize(height: 32, width: 32)
    private static let precisions = ComputePrecision.allCases.filter(\.isSupported)
    private static let families = [
        "vit", "deit_distilled", "dinov2", "dinov2_registers", "dinov2_swiglu", "siglip", "clip", "ijepa",
        "timm_registers_gap",
    ]

    private struct Scene {
        let checkpoint: Checkpoint
        let inputs: [Float]
        let head: Head

        init(_ name: String) throws {
            checkpoint = try Checkpoint(folder: caseFolder(name))
            let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
            inputs = ForwardTests.patches(try io.tensor("pixel_values"), checkpoint.configuration)
            head = try #require(try checkpoint.head(task: "label"))
        }

        /// Merges tokens in every block.
        var merging: TokenMerging {
            TokenMerging(checkpoint.configuration, TokenMergingTests.size) { $0 == 0 ? 3 : 2 }
        }

        func model(
            _ merging: TokenMerging?, threads: Int = 1, outputs: ModelOutputs = [], precision: ComputePrecision = .f32
        ) throws -> MultitaskModel {
            try MultitaskModel(
                checkpoint, configuration: checkpoint.configuration, heads: [head], imageSize: TokenMergingTests.size,
                threads: threads, outputs: outputs, precision: precision, tokenMerging: merging)
        }
    }

    private func logits(_ model: MultitaskModel, _ inputs: [Float]) throws -> [Float] {
        let images = inputs.count / model.inputCount
        var logits = [Float](repeating: .nan, count: images * model.classCount)
        try model.run(inputs, images: images, logits: &logits)
        return logits
    }

    @Test(arguments: families) func featuresAreWhatTheFormulasSay(_ name: String) throws {
        let scene = try Scene(name)
        let model = try scene.model(scene.merging, outputs: .features)
        let reference = ReferenceMerging(checkpoint: scene.checkpoint, merging: scene.merging, size: Self.size)
        let images = scene.inputs.count / model.inputCount
        var features = [Float](repeating: .nan, count: images * model.featureCount)
        try model.run(scene.inputs, images: images, logits: nil, features: &features)
        for image in 0..<images {
            let expected = try reference.features(
                Array(scene.inputs[image * model.inputCount..<(image + 1) * model.inputCount]))
            #expect(expected.count == model.featureCount)
            for (index, value) in expected.enumerated() {
                #expect(abs(Double(features[image * model.featureCount + index]) - value) < 2e-4)
            }
        }
        // The case is one in which merging matters.
        var plain = features
        try scene.model(nil, outputs: .features).run(scene.inputs, images: images, logits: nil, features: &plain)
        #expect(plain != features)
    }

    @Test(arguments: families) func sameBitsInAnyBatchAndThreadCount(_ name: String) throws {
        let scene = try Scene(name)
        for precision in Self.precisions {
            let model = try scene.model(scene.merging, threads: 3, precision: precision)
            let together = try logits(model, scene.inputs)
            #expect(together.allSatisfy { $0.isFinite })
            let one = try scene.model(scene.merging, precision: precision)
            let alone = try stride(from: 0, to: scene.inputs.count, by: one.inputCount).flatMap {
                try logits(one, Array(scene.inputs[$0..<$0 + one.inputCount]))
            }
            #expect(alone == together, "\(precision)")
            let plain = try scene.model(nil, precision: precision)
            let others = try logits(plain, scene.inputs)
            #expect(others != together)
            #expect(one.operationsPerImage < plain.operationsPerImage)
        }
    }

    @Test func mergingNothingChangesNoBit() throws {
        let scene = try Scene("dinov2")
        let none = TokenMerging(scene.checkpoint.configuration, Self.size) { _ in 0 }
        let (merged, plain) = (try logits(scene.model(none), scene.inputs), try logits(scene.model(nil), scene.inputs))
        #expect(merged == plain)
        // Where heads read CLS alone, no token of the last block is read after it.
        let vit = try Scene("vit")
        let layers = vit.checkpoint.configuration.layers
        let last = TokenMerging(vit.checkpoint.configuration, Self.size) { $0 == layers - 1 ? 4 : 0 }
        let (late, all) = (try logits(vit.model(last), vit.inputs), try logits(vit.model(nil), vit.inputs))
        #expect(late == all)
    }

    /// A stream over the patches of its own adapter computes what the adapter alone does with the same merging.
    @Test(arguments: ["vit", "deit_distilled", "dinov2_swiglu", "dinov2_registers"])
    func streamsReadMergedTokens(_ name: String) throws {
        let scene = try Scene(name)
        let c = scene.checkpoint.configuration
        var noise = Noise(state: 4)
        let head = try Head(
            task: "a", classes: ["x", "y", "z"],
            weight: Tensor(shape: [3, c.hiddenSize], values: noise.values(3 * c.hiddenSize)),
            bias: Tensor(shape: [3], values: noise.values(3)), activation: .softmax, path: "test")
        let stream = TaskStreamTests.stream("a", c, seed: 3)
        let own = MergedSource(base: scene.checkpoint, stream: stream)
        func model(_ streams: TaskStreams?, threads: Int = 1, precision: ComputePrecision = .f32) throws
            -> MultitaskModel
        {
            try MultitaskModel(
                own, configuration: c, heads: [head], imageSize: Self.size, threads: threads, precision: precision,
                streams: streams, tokenMerging: scene.merging)
        }
        let streams = TaskStreams(base: scene.checkpoint, streams: [stream])
        let expected = try logits(model(nil), scene.inputs)
        let found = try logits(model(streams), scene.inputs)
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 2e-4 })
        for precision in Self.precisions {
            let one = try model(streams, precision: precision)
            let alone = try stride(from: 0, to: scene.inputs.count, by: one.inputCount).flatMap {
                try logits(one, Array(scene.inputs[$0..<$0 + one.inputCount]))
            }
            let together = try logits(model(streams, threads: 3, precision: precision), scene.inputs)
            #expect(together == alone)
        }
    }

    @Test(arguments: ["dinov3", "beit"]) func familiesWithPositionsInAttentionAreNamed(_ name: String) throws {
        let c = try Checkpoint(folder: caseFolder(name)).configuration
        let merging = TokenMerging(c, Self.size) { _ in 2 }
        let said = message { try merging.check(c, Self.size) }
        #expect(said.hasPrefix("token merging: not possible for \(c.family.name): its attention "), "\(said)")
        try TokenMerging(c, Self.size) { _ in 0 }.check(c, Self.size)
    }

    @Test func schedulesThatDoNotFitAreNamed() throws {
        let c = try Scene("vit").checkpoint.configuration
        let grid = c.grid(for: Self.size)
        let patches = grid.height * grid.width
        func refusal(_ counts: [Int]) -> String { message { try TokenMerging(counts).check(c, Self.size) } }
        #expect(refusal([1]) == "token merging: expected \(c.layers) numbers, one per block, found 1")
        var counts = [Int](repeating: 0, count: c.layers)
        counts[0] = patches / 2 + 1
        #expect(
            refusal(counts)
                == "token merging: block 0 has \(patches) patch tokens: expected to merge 0 to \(patches / 2), "
                + "found \(patches / 2 + 1)")
        counts[0] = -1
        #expect(refusal(counts).hasSuffix("found -1"))
        // A number for all blocks is cut to what there is.
        let most = TokenMerging(c, Self.size) { _ in 1000 }
        #expect(most.counts.first == patches / 2 && refusal(most.counts) == "nothing was thrown")
        let scene = try Scene("vit")
        #expect(throws: ModelError.self) { try scene.model(scene.merging, outputs: .allTokens) }
    }

    @Test func summariesWeighTokensBySize() throws {
        let c = try Scene("vit").checkpoint.configuration
        let d = c.hiddenSize
        var noise = Noise(state: 9)
        let rows = noise.values(3 * d)
        // CLS, and the second patch token three times or with the size 3.
        let many = FloatBuffer(rows + rows[(2 * d)...] + rows[(2 * d)...])
        let (one, two) = (FloatBuffer(count: 2 * d), FloatBuffer(count: 2 * d))
        TokenSummary(c, patches: 4).write(many, into: one.base)
        TokenSummary(c, patches: 2).write(FloatBuffer(rows), sizes: FloatBuffer([1, 1, 3]), into: two.base)
        #expect(zip(one.elements, two.elements).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func whatWasFoundIsReadAgain() {
        let agreement = LabelAgreement(text: "{\"images\": 7, \"same_labels\": {\"a\": 0.5, \"b\": 1.0}}")
        let kept = agreement.map {
            KeptTokenMerging(TokenMerging([0, 4, 2]), required: 0.7, cost: 0.9, agreement: $0)
        }
        #expect(kept.flatMap { KeptTokenMerging(text: $0.text) } == kept)
        #expect(kept?.isSufficient == true && kept?.of(["a"]).isSufficient == false)
        #expect(KeptTokenMerging(text: "{\"merged\": [1, \"2\"], \"keep\": 0.7}") == nil)
    }
}
