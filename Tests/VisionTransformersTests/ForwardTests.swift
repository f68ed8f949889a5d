import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// A checkpoint folder among the test's cases: what transformers wrote.
func caseFolder(_ name: String) -> String {
    (Bundle.module.resourcePath ?? ".") + "/Cases/" + name
}

@Suite struct ForwardTests {
    static let models = [
        "vit", "vit_noqkvbias", "vit_gelu_tanh", "deit", "deit_distilled", "dinov2", "dinov2_swiglu",
    ]

    struct Answer {
        let logits: [Float]
        let hidden: [Float]
    }

    /// Pixel values (images, 3, H, W) as patches.
    static func patches(_ pixels: Tensor, _ configuration: BackboneConfiguration) -> [Float] {
        pixels.patches(height: configuration.patchSize.height, width: configuration.patchSize.width)
    }

    func model(_ folder: String, threads: Int = 2, outputs: ModelOutputs = .allTokens) throws -> MultitaskModel {
        let checkpoint = try Checkpoint(folder: folder)
        let head = try #require(try checkpoint.head(task: "label"))
        return try MultitaskModel(
            checkpoint, configuration: checkpoint.configuration, heads: [head],
            imageSize: .init(height: 32, width: 32), threads: threads, outputs: outputs)
    }

    func answer(_ model: MultitaskModel, _ inputs: [Float]) throws -> Answer {
        let images = inputs.count / model.inputCount
        var logits = [Float](repeating: 0, count: images * model.classCount)
        var hidden = [Float](repeating: 0, count: images * model.hiddenShape.reduce(1, *))
        try model.run(inputs, images: images, logits: &logits, hidden: &hidden)
        return Answer(logits: logits, hidden: hidden)
    }

    func distance(_ a: [Float], _ b: [Float]) -> Float {
        a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
    }

    @Test(arguments: models) func matchesTransformers(_ name: String) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let model = try model(caseFolder(name))
        for prefix in ["", "photo."] {
            let inputs = Self.patches(try io.tensor(prefix + "pixel_values"), model.configuration)
            let answer = try answer(model, inputs)
            #expect(distance(answer.logits, try io.tensor(prefix + "logits").values) < 1e-4)
            #expect(distance(answer.hidden, try io.tensor(prefix + "hidden").values) < 1e-4)
        }
    }

    @Test(arguments: models) func sameBitsInAnyBatchPlaceAndThreadCount(_ name: String) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let one = try model(caseFolder(name), threads: 1)
        let inputs = Self.patches(try io.tensor("pixel_values"), one.configuration)
        let expected = try answer(one, inputs)
        let three = try model(caseFolder(name), threads: 3)
        let count = one.inputCount
        let first = Array(inputs[0..<count])
        #expect(try answer(three, first).logits == Array(expected.logits[0..<one.classCount]))
        let many = (0..<5).flatMap { inputs[$0 % 3 * count..<($0 % 3 + 1) * count] }
        let all = try answer(three, many)
        for image in 0..<5 {
            let range = image % 3 * one.classCount..<(image % 3 + 1) * one.classCount
            #expect(
                Array(all.logits[image * one.classCount..<(image + 1) * one.classCount])
                    == Array(expected.logits[range]))
        }
    }
}
