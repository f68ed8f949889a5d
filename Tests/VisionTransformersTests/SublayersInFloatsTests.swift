import Compute
import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Which sublayers int8 leaves in floats, as `quantize` chooses and records them.
@Suite(.enabled(if: ComputePrecision.int8.isSupported, "the processor has no instructions for int8"))
struct SublayersInFloatsTests {
    let scratch: TemporaryFolder
    private let checkpoint: Checkpoint
    private let size = ImageSize(height: 32, width: 32)
    private let images = 12
    private let inputs: [Float]
    private let firstAttention = BlockSublayer(layer: 0, .attention)
    private let secondMLP = BlockSublayer(layer: 1, .mlp)

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
        for name in ["", "layers.1", "layers.x.mlp", "layers.-1.mlp", "layers.1.norm", "block.1.mlp", "layers.1.mlp."] {
            #expect(BlockSublayer(name: name) == nil, "\(name)")
        }
        #expect([BlockSublayer](ordered: Set(BlockSublayer.all(12))) == BlockSublayer.all(12))
    }

    @Test func theFileHasNoneThatAreLeftInFloats() throws {
        let rounded = try rounded()
        #expect([BlockSublayer](ordered: rounded.sublayers) == BlockSublayer.all(checkpoint.configuration.layers))
        try rounded.write(folder: scratch.path, floats: [])
        let expected = try logits(model([secondMLP]))
        let all = try logits(model())
        try rounded.write(folder: scratch.path, floats: [secondMLP])
        let weights = try #require(try QuantizedWeights(folder: scratch.path, checkpoint.configuration))
        #expect(weights.floats == [secondMLP])
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

    @Test func aFileThatNamesNoneLeavesTheFirstAttention() throws {
        try rounded().write(folder: scratch.path, floats: [firstAttention])
        let expected = try logits(model())
        try change { $0["floats"] = nil }
        #expect(try QuantizedWeights(folder: scratch.path, checkpoint.configuration)?.floats == [firstAttention])
        #expect(try logits(model()).squaredError(from: expected) == 0)
    }

    @Test func otherNamesAreRefused() throws {
        try rounded().write(folder: scratch.path, floats: [])
        for name in ["layers.one.mlp", "layers.3.mlp"] {
            try change { $0["floats"] = "layers.0.attention \(name)" }
            do {
                _ = try QuantizedWeights(folder: scratch.path, checkpoint.configuration)
                Issue.record("accepted \(name)")
            } catch let error as ModelError {
                let expected = "floats: expected names like layers.0.attention of 3 blocks, found \(name)"
                #expect("\(error)".contains(expected), "\(error)")
            }
        }
    }

    /// The logits of all images in f32, then what the search finds for the backbone in eight bits.
    private func search(keep: Double) throws -> SublayerSearch.Found {
        let exact = try logits(model(nil, .f32))
        let search = SublayerSearch(
            BlockSublayer.all(checkpoint.configuration.layers), exact: exact,
            owners: [String?](repeating: nil, count: images))
        return try search.run(keep: keep, model: { try model($0) }, measured: logits, compared: logits)
    }

    @Test func whatRoundingHarmsMostIsLeftInFloats() throws {
        try rounded().write(folder: scratch.path, floats: [])
        #expect(try search(keep: 0).floats.isEmpty)
        // Each sublayer is about a sixth of this backbone's work: all of the error is six times as much.
        try change(scaling: ["layers.0.attention.output.scale"])
        #expect(try search(keep: 0).floats == [firstAttention])
    }

    @Test func moreAreLeftWhereTooFewLabelsAreKept() throws {
        try rounded().write(folder: scratch.path, floats: [])
        // Half of the error each is three times their share of the work, which is not too much by itself.
        try change(scaling: ["layers.1.attention.output.scale", "layers.1.mlp.second.scale"])
        let both: Set = [BlockSublayer(layer: 1, .attention), secondMLP]
        let first = try search(keep: 0)
        #expect(first.floats.isEmpty && first.agreement.mean < 0.9)
        let found = try search(keep: 0.9)
        #expect(found.floats == both && found.agreement.mean >= 0.9)
        let expected = try logits(model(both))
        #expect(found.logits.squaredError(from: expected) == 0)
        // What no choice keeps is left as it is without one.
        #expect(try search(keep: 1.1).floats.isEmpty)
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

    @Test func workIsThatOfLinearLayers() throws {
        let (c, model) = (checkpoint.configuration, try model([]))
        let tokens = c.grid(for: size).height * c.grid(for: size).width + c.prefix.count
        #expect(model.work(of: firstAttention) == Double(tokens * 4 * c.hiddenSize * c.hiddenSize))
        let weights = 2 * c.hiddenSize * c.intermediateSize
        #expect(model.work(of: BlockSublayer(layer: 0, .mlp)) == Double(tokens * weights))
        // The last MLP computes one token, which takes as long as a tile of rows.
        #expect(model.work(of: BlockSublayer(layer: c.layers - 1, .mlp)) == Double(16 * weights))
    }
}
