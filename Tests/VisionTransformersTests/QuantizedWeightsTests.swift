import Compute
import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Backbones rounded for images that were seen: nothing but rounding changes, and the file is one of these very
/// weights.
@Suite(.enabled(if: ComputePrecision.int8.isSupported, "the processor has no instructions for int8"))
struct QuantizedWeightsTests {
    let scratch: TemporaryFolder
    private let size = ImageSize(height: 32, width: 32)

    init() throws { scratch = try TemporaryFolder() }

    /// Inputs of a case's photo, and what transformers computes of them.
    private func photo(_ name: String, _ c: BackboneConfiguration) throws -> (inputs: [Float], logits: [Float]) {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        return (
            ForwardTests.patches(try io.tensor("photo.pixel_values"), c), try io.tensor("photo.logits").values
        )
    }

    /// Rounds a case's backbone for its photos.
    private func quantize(_ name: String, threads: Int = 1) throws -> Checkpoint {
        let checkpoint = try Checkpoint(folder: caseFolder(name))
        try backbone(checkpoint, threads: threads).write(folder: scratch.path)
        return checkpoint
    }

    private func backbone(_ checkpoint: Checkpoint, threads: Int = 1) throws -> QuantizedBackbone {
        let name = URL(fileURLWithPath: checkpoint.folder).lastPathComponent
        let inputs = try photo(name, checkpoint.configuration).inputs
        let grid = checkpoint.configuration.grid(for: size)
        let count = grid.height * grid.width * checkpoint.configuration.patchLength
        let images = inputs.count / count
        return try QuantizedBackbone(
            checkpoint, configuration: checkpoint.configuration, imageSize: size, images: images, threads: threads
        ) {
            _ = $1.update(fromContentsOf: inputs[$0 * count..<($0 + 1) * count])
        }
    }

    private func quantized(_ checkpoint: Checkpoint) throws -> QuantizedWeights {
        try #require(try QuantizedWeights(folder: scratch.path, checkpoint.configuration))
    }

    private func logits(_ checkpoint: Checkpoint, _ quantized: QuantizedWeights?, _ inputs: [Float]) throws -> [Float] {
        let model = try MultitaskModel(
            checkpoint, configuration: checkpoint.configuration,
            heads: [try #require(try checkpoint.head(task: "label"))], imageSize: size, threads: 1, precision: .int8,
            quantized: quantized)
        let images = inputs.count / model.inputCount
        var logits = [Float](repeating: 0, count: images * model.classCount)
        try model.run(inputs, images: images, logits: &logits)
        return logits
    }

    private func squares(_ a: [Float], _ b: [Float]) -> Float {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }

    @Test(arguments: ForwardTests.models) func logitsStayNear(_ name: String) throws {
        let checkpoint = try quantize(name)
        let (inputs, expected) = try photo(name, checkpoint.configuration)
        let found = try logits(checkpoint, quantized(checkpoint), inputs)
        let error = (squares(found, expected) / squares(expected, expected.map { _ in 0 })).squareRoot()
        #expect(error < 0x1p-8 * 8, "\(error)")
    }

    @Test func theSameBytesOnAnyNumberOfThreads() throws {
        let path = "\(scratch.path)/\(QuantizedWeights.fileName)"
        _ = try quantize("vit")
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        _ = try quantize("vit", threads: 3)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
    }

    @Test func noneIsNoError() throws {
        #expect(try QuantizedWeights(folder: scratch.path, Checkpoint(folder: caseFolder("vit")).configuration) == nil)
        let checkpoint = try Checkpoint(folder: caseFolder("vit"))
        #expect(throws: ModelError.self) {
            try QuantizedBackbone(
                checkpoint, configuration: checkpoint.configuration, imageSize: size, images: 0, threads: 1
            ) { _, _ in }
        }
    }

    /// Changes one tensor of the file, or leaves it out.
    private func change(_ name: String, metadata: [String: String]? = nil, _ values: [Float]?) throws {
        let path = "\(scratch.path)/\(QuantizedWeights.fileName)"
        let file = try SafetensorsFile(path: path)
        let kept = file.entries.filter { $0.name != name || values != nil }
        let writer = try SafetensorsWriter(
            path: path + "-new",
            declarations: kept.map { entry in
                let isChanged = entry.name == name
                return .init(
                    name: entry.name, type: isChanged ? .float32 : entry.type,
                    shape: isChanged ? [values?.count ?? 0] : entry.shape)
            }, metadata: metadata ?? file.metadata)
        for entry in kept {
            if entry.name == name, let values {
                try writer.append(name, Tensor(shape: [values.count], values: values))
            } else {
                try writer.append(entry.name, bytes: file.bytes(of: entry))
            }
        }
        try writer.finish()
        #expect(rename(path + "-new", path) == 0)
    }

    private func refusal(_ checkpoint: Checkpoint) throws -> String {
        let inputs = try photo("vit", checkpoint.configuration).inputs
        do {
            _ = try logits(checkpoint, quantized(checkpoint), inputs)
            return "none"
        } catch { return "\(error)" }
    }

    @Test func otherWeightsAreRefused() throws {
        _ = try quantize("vit")
        let other = try Checkpoint(folder: caseFolder("deit"))
        let found = try refusal(other)
        #expect(found.contains(QuantizedWeights.fileName), "\(found)")
        #expect(found.contains("was quantized from other weights than those beside it"), "\(found)")
    }

    @Test func damageIsNamed() throws {
        let checkpoint = try quantize("vit")
        let width = checkpoint.configuration.hiddenSize
        let cases: [(name: String, values: [Float]?, reason: String)] = [
            ("layers.1.attention.output.bias", nil, "no tensor \"layers.1.attention.output.bias\""),
            ("layers.1.attention.output.bias", [1], "layers.1.attention.output.bias: expected [\(width)], found [1]"),
            (
                "layers.1.mlp.norm.weight", [Float](repeating: .nan, count: width),
                "layers.1.mlp.norm.weight: expected finite numbers"
            ),
            ("layers.1.mlp.second.weight", [1], "layers.1.mlp.second.weight: expected I8 ["),
        ]
        for (name, values, reason) in cases {
            _ = try quantize("vit")
            try change(name, values)
            let found = try refusal(checkpoint)
            #expect(found.contains(reason), "\(found)")
        }
        // What an earlier version measured.
        _ = try quantize("vit")
        try change("layers.1.mlp.norm.weight", metadata: ["format": "pt"], [1])
        let found = try refusal(checkpoint)
        #expect(found.contains("has no checksum of layers."), "\(found)")
    }

    /// A case's bundle with rounded weights that keep so many of 200 labels.
    private func keepsLabels(_ same: Int?) throws -> Bool {
        let checkpoint = try Checkpoint(folder: caseFolder("vit"))
        for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
            try? FileManager.default.copyItem(
                atPath: "\(caseFolder("vit"))/\(name)", toPath: "\(scratch.path)/\(name)")
        }
        let inputs = try photo("vit", checkpoint.configuration).inputs
        let rounding = try QuantizedBackbone(
            checkpoint, configuration: checkpoint.configuration, imageSize: size, images: 1, threads: 1
        ) { _ = $1.update(fromContentsOf: inputs[..<$1.count]) }
        let text = same.map { "{\"images\": 200, \"same_labels\": {\"label\": \(Double($0) / 200)}}" }
        let agreement = try text.map { try #require(LabelAgreement(text: $0)) }
        try rounding.write(folder: scratch.path, agreement)
        let bundle = try ModelBundle(folder: scratch.path)
        #expect(try QuantizedWeights(folder: scratch.path, checkpoint.configuration)?.agreement == agreement)
        return try bundle.keepsLabelsInInt8
    }

    @Test func onlyWhatKeepsItsLabelsIsTaken() throws {
        #expect(try keepsLabels(198))
        #expect(try !keepsLabels(197))
        #expect(try !keepsLabels(nil))
        try FileManager.default.removeItem(atPath: "\(scratch.path)/\(QuantizedWeights.fileName)")
        #expect(try !ModelBundle(folder: scratch.path).keepsLabelsInInt8)
    }

    /// A head that reads the features with merged tokens instead of the task's own, with the found merging alone.
    @Test func headsAlignedWithTokenMergingAreReadWithItAlone() throws {
        let checkpoint = try Checkpoint(folder: caseFolder("vit"))
        let head = try #require(try checkpoint.head(task: "label"))
        var aligned = head
        aligned.bias.values[0] += 1e6
        for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
            try FileManager.default.copyItem(
                atPath: "\(checkpoint.folder)/\(name)", toPath: "\(scratch.path)/\(name)")
        }
        let found = TokenMerging(checkpoint.configuration, size) { $0 == 0 ? 1 : 0 }
        let agreement = LabelAgreement(images: 1, tasks: [.init(task: "label", share: 1)])
        try backbone(checkpoint).write(
            folder: scratch.path, agreement,
            tokenMerging: KeptTokenMerging(found, required: 0.9, cost: 0.9, agreement: agreement), heads: [aligned])
        let weights = try quantized(checkpoint)
        #expect(weights.alignedTasks == ["label"])
        #expect(try weights.alignedHead(head) == aligned)
        #expect(try weights.alignedHead(head.named("other")) == nil)
        var wider = head
        wider.classes.append("more")
        wider.bias = Tensor(shape: [wider.classes.count])
        #expect(throws: ModelError.self) { try weights.alignedHead(wider) }
        let bundle = try ModelBundle(folder: scratch.path)
        let other = TokenMerging(checkpoint.configuration, size) { $0 == 1 ? 1 : 0 }
        func heads(_ precision: ComputePrecision, _ merging: TokenMerging?) throws -> [[Float]] {
            try bundle.model(threads: 1, precision: precision, tokenMerging: merging).heads.map(\.bias.values)
        }
        #expect(try heads(.int8, found) == [aligned.bias.values])
        for (precision, merging) in [(ComputePrecision.int8, other), (.int8, nil), (.f32, found)] {
            #expect(try heads(precision, merging) == [head.bias.values])
        }
    }

    @Test func labelsAreCompared() throws {
        let checkpoint = try Checkpoint(folder: caseFolder("vit"))
        let head = try #require(try checkpoint.head(task: "label"))
        func model(_ bias: Float, _ activation: HeadActivation) throws -> GroupedModel {
            var changed = head.bias
            changed.values[0] += bias
            let own = try Head(
                task: "label", classes: head.classes, weight: head.weight, bias: changed, activation: activation,
                path: "test")
            return try GroupedModel(
                [TaskGroup(backbone: BackboneWeights(checkpoint), tasks: [0])], configuration: checkpoint.configuration,
                heads: [own],
                imageSize: size, threads: 2)
        }
        let inputs = try photo("vit", checkpoint.configuration).inputs
        func share(_ a: Float, _ b: Float, _ activation: HeadActivation = .softmax) throws -> LabelAgreement {
            let logits = try [a, b].map { bias in
                try ModelLogits(model(bias, activation), images: 3, threads: 2) {
                    _ = $1.update(fromContentsOf: inputs[..<$1.count])
                    $1[0] += Float($0)
                }
            }
            // Images of another task count where the task has none of its own.
            let owners: [String?] = ["other", nil, "other"]
            let found = logits[0].agreement(with: logits[1], on: 0..<3)
            #expect(logits[0].agreement(with: logits[1], on: 0..<3, owners: owners) == found)
            return found
        }
        let same = try share(0, 0)
        #expect(same.images == 3 && same.mean == 1 && same.isSufficient)
        // The first class always, and never.
        #expect(try share(1e6, -1e6).mean == 0)
        // Of several labels that are the same one is enough to be different; without an activation errors count.
        for activation in [HeadActivation.sigmoid, .identity] {
            #expect(try share(0, 0, activation).mean == 1)
            #expect(try share(1e6, -1e6, activation).mean == 0)
        }
        #expect(try share(-1e6, -2e6, .sigmoid).mean == 1 && share(-1e6, -2e6, .identity).mean == 0)
        #expect(LabelAgreement(text: same.text) == same)
        #expect(LabelAgreement(text: "{}") == nil)
    }
}
