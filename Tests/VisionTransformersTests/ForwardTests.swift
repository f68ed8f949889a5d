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
        "dinov2_registers", "dinov2_registers_gated", "siglip", "clip", "metaclip_2", "vit_msn", "ijepa", "beit",
        "beit_cls", "dit", "data2vec", "timm_augreg", "timm_deit_distilled", "timm_deit3", "timm_clip",
        "timm_siglip_gap", "timm_dinov2", "timm_dinov2_registers", "timm_dinov3", "timm_dinov3_biases",
        "timm_eva_large", "timm_registers_gap",
    ]
    /// Models that have no head in their libraries.
    static let headless = ["dinov3", "dinov3_gated", "siglip_vision", "clip_vision", "vit_mae"]

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
        let head = try checkpoint.head(task: "label")
        return try MultitaskModel(
            checkpoint, configuration: checkpoint.configuration, heads: head.map { [$0] } ?? [],
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

    @Test(arguments: models + headless) func matchesItsLibrary(_ name: String) throws {
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let model = try model(caseFolder(name))
        for prefix in ["", "photo."] {
            let inputs = Self.patches(try io.tensor(prefix + "pixel_values"), model.configuration)
            let answer = try answer(model, inputs)
            let wanted = try ["logits", "hidden"].map { name in
                try io.entry(prefix + name).map { try io.tensor($0.name).values }
            }
            #expect(wanted.contains { $0 != nil })
            if let logits = wanted[0] { #expect(distance(answer.logits, logits) < 1e-5) }
            if let hidden = wanted[1] { #expect(distance(answer.hidden, hidden) < 1e-4) }
        }
    }

    /// A photo as each model's own preprocessing makes it.
    @Test(arguments: models.drop { $0 != "dinov2_registers" } + headless)
    func photosAreMadeIntoTheLibrarysPixels(_ name: String) throws {
        let checkpoint = try Checkpoint(folder: caseFolder(name))
        let io = try SafetensorsFile(path: caseFolder(name) + "/io.safetensors")
        let preprocessing = try checkpoint.preprocessing()
        let photo = try RGBImage(decoding: readBytes(Samples.image("flowers/dandelion.jpg")), options: .init())
        let values = preprocessing.pixelValues(of: try preprocessing.apply(photo))
        #expect(distance(values.values, try io.tensor("photo.pixel_values").values) < 2e-6)
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
