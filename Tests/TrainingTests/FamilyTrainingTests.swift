import Compute
import Tensors
import Testing
import VisionTransformers

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// A backbone of any shape with small random weights.
private struct RandomSource: ParameterSource {
    let shapes: [String: [Int]]

    init(_ configuration: BackboneConfiguration) {
        shapes = Dictionary(uniqueKeysWithValues: configuration.parameterShapes.map { ($0.name, $0.shape) })
    }

    func parameter(_ name: String) throws -> Tensor {
        let shape = try #require(shapes[name])
        var noise = SplitMix64(seed: 1, name: name)
        return Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in Float(0.2 * noise.nextNormal()) })
    }

    func release(_ name: String) {}
}

@Suite struct FamilyTrainingTests {
    /// The width of the classifier of each family, and what an adapter of all its modules adapts.
    @Test(arguments: [("vit", "", 16, 6), ("deit", "", 16, 6), ("dinov2", ", \"use_swiglu_ffn\": true", 32, 7)])
    func trainsAClassifierThatReadersTake(family: String, more: String, width: Int, modules: Int) throws {
        let text = """
            {"model_type": "\(family)", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, \
            "intermediate_size": 24, "image_size": 32, "patch_size": 16\(more)}
            """
        let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: "config.json")
        let names = configuration.parameterShapes.compactMap { name, shape in
            ParameterNames.layer(of: name) != nil && shape.count == 2 ? String(name.dropLast(".weight".count)) : nil
        }
        #expect(names.count == modules)
        let trainer = try AdapterTrainer(
            RandomSource(configuration), configuration: configuration, imageSize: configuration.imageSize, classes: 3,
            adaptation: LowRankAdaptation(modules: names, rank: 2, alpha: 2), seed: 1, threads: 2)
        var noise = SplitMix64(state: 1)
        let inputs = (0..<2 * trainer.inputCount).map { _ in Float(noise.nextNormal()) }
        let losses = try (0..<20).map { _ in try step(trainer, inputs, [0, 2]).loss }
        #expect(losses[19] < losses[0] - 0.2)
        let parameters = Dictionary(uniqueKeysWithValues: trainer.parameters.map { ($0.name, $0.tensor) })
        #expect(parameters["classifier.weight"]?.shape == [3, width])
        let head = try #require(try Head.linear(parameters, configuration: configuration, path: "adapter"))
        #expect(head.weight == parameters["classifier.weight"])
    }
}
