import Compute
import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// What int8 leaves in floats, as `quantize` chooses and records it.
@Suite(.enabled(if: ComputePrecision.int8.isSupported, "the processor has no instructions for int8"))
struct SublayersInFloatsTests {
    let scratch: TemporaryFolder
    private let checkpoint: Checkpoint
    private let size = ImageSize(height: 32, width: 32)
    private let images = 12
    private let inputs: [Float]
    private let firstAttention = BlockSublayer(layer: 0, .attention)
    private let secondMLP = BlockSublayer(layer: 1, .mlp)
    private let scores = Set((0..<3).map { BlockSublayer(layer: $0, .scores) })

    init() throws {
        scratch = try TemporaryFolder()
        checkpoint = try Checkpoint(folder: caseFolder("vit"))
        for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
            try FileManager.default.copyItem(
                atPath: "\(checkpoint.folder)/\(name)", toPath: "\(scratch.path)/\(name)")
        }
        let grid = checkpoint.configuration.grid(for: size)
        var generator = SplitMix64(seed: 5, name: "images")
        inputs = (0..<images * grid.height * grid.width * checkpoint.configuration.patchLength).map { _ in
            Float(generator.nextNormal())
        }
    }

    private func prepare(_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) {
        _ = patches.update(fromContentsOf: inputs[image * patches.count..<(image + 1) * patches.count])
    }

    private func rounded() throws -> QuantizedBackbone {
        try QuantizedBackbone(
            checkpoint, configuration: checkpoint.configuration, imageSize: size, images: images, threads: 2,
            prepare: prepare)
    }

    private func logits(_ model: GroupedModel) throws -> ModelLogits {
        try ModelLogits(model, images: images, threads: 1, prepare: prepare)
    }

    private func model(_ floats: Set<BlockSublayer>? = nil, _ precision: ComputePrecision = .int8) throws
        -> GroupedModel
    {
        try ModelBundle(folder: scratch.path).model(threads: 1, precision: precision, floats: floats)
    }

    @Test func namesAreThoseOfFiles() {
        for sublayer in BlockSublayer.all(12) { #expect(BlockSublayer(name: sublayer.description) == sublayer) }
        #expect(secondMLP.description == "layers.1.mlp")
        #expect(BlockSublayer(layer: 2, .scores).description == "layers.2.attention_scores")
        for name in ["", "layers.1", "layers.x.mlp", "layers.-1.mlp", "layers.1.norm", "block.1.mlp", "layers.1.mlp."] {
            #expect(BlockSublayer(name: name) == nil, "\(name)")
        }
        #expect([BlockSublayer](ordered: Set(BlockSublayer.all(12))) == BlockSublayer.all(12))
    }

    @Test func theFileHasNoneThatAreLeftInFloats() throws {
        let rounded = try rounded()
        #expect([BlockSublayer](ordered: rounded.sublayers) == BlockSublayer.all(checkpoint.configuration.layers))
        try rounded.write(folder: scratch.path, floats: scores)
        let expected = try logits(model(scores.union([secondMLP])))
        let all = try logits(model())
        try rounded.write(folder: scratch.path, floats: scores.union([secondMLP]))
        let weights = try #require(try QuantizedWeights(folder: scratch.path, checkpoint.configuration))
        #expect(weights.floats == scores.union([secondMLP]))
        #expect(weights.file.entry("layers.1.mlp.first.weight") == nil)
        #expect(weights.file.entry("layers.0.attention.input.weight") != nil)
        let found = try logits(model())
        #expect(found.squaredError(from: expected) == 0)
        #expect(found.squaredError(from: all) > 0)
    }

    /// Changes the file's metadata, or numbers so much that the logits are others.
    private func change(
        _ metadata: (inout [String: String]) -> Void = { _ in }, scaling names: [String] = []
    ) throws {
        let path = "\(scratch.path)/\(QuantizedWeights.fileName)"
        let file = try SafetensorsFile(path: path)
        var changed = file.metadata
        metadata(&changed)
        let writer = try SafetensorsWriter(
            path: path + "-new",
            declarations: file.entries.map { .init(name: $0.name, type: $0.type, shape: $0.shape) },
            metadata: changed)
        for entry in file.entries {
            if names.contains(entry.name) {
                var tensor = try file.tensor(entry.name)
                for index in tensor.values.indices { tensor.values[index] *= index % 2 == 0 ? 3 : -3 }
                try writer.append(entry.name, tensor)
            } else {
                try writer.append(entry.name, bytes: file.bytes(of: entry))
            }
        }
        try writer.finish()
        #expect(rename(path + "-new", path) == 0)
    }

    @Test func aFileThatNamesNoneLeavesTheFirstAttentionAndAllScores() throws {
        try rounded().write(folder: scratch.path)
        let expected = try logits(model())
        try change { $0["floats"] = nil }
        let weights = try #require(try QuantizedWeights(folder: scratch.path, checkpoint.configuration))
        #expect(weights.floats == scores.union([firstAttention]))
        #expect(try logits(model()).squaredError(from: expected) == 0)
    }

    @Test(arguments: [
        ("floats", [BlockPart.attention, .mlp, .scores]), ("int8_attention_scores", [.scores, .scores, .mlp]),
    ])
    func otherNamesAreRefused(_ key: String, _ parts: [BlockPart]) throws {
        try rounded().write(folder: scratch.path, floats: [])
        let (example, part, other) = (parts[0].rawValue, parts[1].rawValue, parts[2].rawValue)
        for name in ["layers.one.\(part)", "layers.3.\(part)", "layers.1.\(other)"] {
            try change { $0[key] = "layers.0.\(example) \(name)" }
            do {
                _ = try QuantizedWeights(folder: scratch.path, checkpoint.configuration)
                Issue.record("accepted \(name)")
            } catch let error as ModelError {
                let expected = "\(key): expected names like layers.0.\(example) of 3 blocks, found \(name)"
                #expect("\(error)".contains(expected), "\(error)")
            }
        }
    }

    @Test func scoresInEightBitsAreRecorded() throws {
        let rounded = try rounded()
        let first = BlockSublayer(layer: 0, .scores)
        try rounded.write(folder: scratch.path, floats: scores.subtracting([first]))
        let weights = try #require(try QuantizedWeights(folder: scratch.path, checkpoint.configuration))
        #expect(weights.floats == scores.subtracting([first]))
        #expect(weights.roundedScores == [first])
        let (floats, narrow) = (try logits(model(scores)), try logits(model(weights.floats)))
        let error = narrow.squaredError(from: floats)
        #expect(error > 0 && error < 1e-2, "\(error)")
        // Unless specified, they are in eight bits where there are no matrix instructions.
        let chosen = try logits(model())
        #expect(chosen.squaredError(from: BFloat16Attention.hasTiles ? floats : narrow) == 0)
        // The last block computes scores of the tokens that are read alone, by other products.
        let last = BlockSublayer(layer: 2, .scores)
        #expect(try model([]).work(of: last) == 0)
        #expect(try logits(model(scores.subtracting([last]))).squaredError(from: floats) == 0)
    }

    @Test(arguments: [false, true]) func scoresAreIndependentOfLinearLayers(_ isAttentionInFloats: Bool) throws {
        try rounded().write(folder: scratch.path, floats: [])
        let attention = Set((0..<3).map { BlockSublayer(layer: $0, .attention) })
        let linear = isAttentionInFloats ? attention : []
        let (floats, narrow) = (try logits(model(scores.union(linear))), try logits(model(linear)))
        let error = narrow.squaredError(from: floats)
        #expect(error > 0 && error < 1e-2, "\(error)")
    }

    /// The logits of all images in f32, then what the search finds for the backbone in eight bits.
    ///
    /// - Parameter others: what is in floats, and not searched.
    private func search(keep: Double, others: Set<BlockSublayer>) throws -> SublayerSearch.Found {
        let exact = try logits(model(nil, .f32))
        let search = SublayerSearch(
            BlockSublayer.all(checkpoint.configuration.layers).filter { !others.contains($0) }, exact: exact,
            owners: [String?](repeating: nil, count: images))
        return try search.run(
            keep: keep, model: { try model($0.union(others)) }, measured: logits, compared: logits)
    }

    private func search(keep: Double) throws -> SublayerSearch.Found { try search(keep: keep, others: scores) }

    @Test func whatTakesNoTimeIsLeftInFloats() throws {
        try rounded().write(folder: scratch.path, floats: [])
        let found = try search(keep: 0, others: [])
        let last = BlockSublayer(layer: 2, .scores)
        #expect(found.floats.contains(last) && !found.harmful.contains(last))
        #expect(found.floats == Set(found.harmful).union([last]))
    }

    @Test func whatRoundingHarmsMostIsLeftInFloats() throws {
        try rounded().write(folder: scratch.path, floats: [])
        #expect(try search(keep: 0).harmful.isEmpty)
        // Each sublayer is about a sixth of this backbone's work: all of the error is six times as much.
        try change(scaling: ["layers.0.attention.output.scale"])
        #expect(try search(keep: 0).harmful == [firstAttention])
    }

    @Test func moreAreLeftWhereTooFewLabelsAreKept() throws {
        try rounded().write(folder: scratch.path, floats: [])
        // Half of the error each is three times their share of the work, which is not too much by itself.
        try change(scaling: ["layers.1.attention.output.scale", "layers.1.mlp.second.scale"])
        let both = [BlockSublayer(layer: 1, .attention), secondMLP]
        let first = try search(keep: 0)
        #expect(first.harmful.isEmpty && first.agreement.mean < 0.9)
        let found = try search(keep: 0.9)
        #expect(found.harmful == both && found.agreement.mean >= 0.9)
        let expected = try logits(model(found.floats.union(scores)))
        #expect(found.logits.squaredError(from: expected) == 0)
        // What no choice keeps is left as it is without one.
        #expect(try search(keep: 1.1).harmful.isEmpty)
    }

    @Test func errorsOfLogitsAreSharesOfTheirVariance() throws {
        let head = try #require(try checkpoint.head(task: "label"))
        func logits(_ bias: [Float], _ factor: Float, _ activation: HeadActivation) throws -> ModelLogits {
            let changed = try Head(
                task: "label", classes: head.classes,
                weight: Tensor(shape: head.weight.shape, values: head.weight.values.map { $0 * factor }),
                bias: Tensor(
                    shape: head.bias.shape,
                    values: zip(head.bias.values, bias).map { $0 * factor + $1 }),
                activation: activation, path: "test")
            return try self.logits(
                GroupedModel(
                    [TaskGroup(backbone: BackboneWeights(checkpoint), tasks: [0])],
                    configuration: checkpoint.configuration, heads: [changed], imageSize: size, threads: 1))
        }
        let none = [Float](repeating: 0, count: head.classes.count)
        let one = none.map { _ in Float(1) }
        for activation in HeadActivation.allCases {
            let exact = try logits(none, 1, activation)
            #expect(exact.squaredError(from: exact) == 0)
            // The same for all logits: no softmax sees that.
            let shifted = try logits(one, 1, activation).squaredError(from: exact)
            #expect(activation == .softmax ? shifted < 1e-9 : shifted > 1e-3, "\(activation) \(shifted)")
            // Its own half is a quarter of the variance, with what the mean adds.
            let half = try logits(none, 0.5, activation)
            let double = try logits(none, 2, activation)
            #expect(abs(double.squaredError(from: exact) / half.squaredError(from: exact) - 4) < 1e-3)
            #expect(half.squaredError(from: exact) >= 0.25 - 1e-6)
        }
    }

    @Test func workIsThatOfProducts() throws {
        let (c, model) = (checkpoint.configuration, try model([]))
        let tokens = c.grid(for: size).height * c.grid(for: size).width + c.prefix.count
        #expect(model.work(of: firstAttention) == Double(tokens * 4 * c.hiddenSize * c.hiddenSize))
        #expect(model.work(of: BlockSublayer(layer: 0, .scores)) == Double(2 * tokens * tokens * c.hiddenSize))
        let weights = 2 * c.hiddenSize * c.intermediateSize
        #expect(model.work(of: BlockSublayer(layer: 0, .mlp)) == Double(tokens * weights))
        // The last MLP computes one token, which takes as long as a tile of rows.
        #expect(model.work(of: BlockSublayer(layer: c.layers - 1, .mlp)) == Double(16 * weights))
    }
}
