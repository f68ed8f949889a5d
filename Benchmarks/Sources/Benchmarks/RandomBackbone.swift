import Tensors
import VisionTransformers

/// A backbone of any shape with small random weights.
struct RandomBackbone: ParameterSource {
    /// The `config.json` of ViT-B/16 at 224 x 224, which is what transformers takes a ViT to be.
    static let base16 = "{\"model_type\": \"vit\"}"

    /// Uniform noise in -1...1 from a linear congruential generator.
    struct Noise {
        var state: UInt64

        mutating func next() -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
        }
    }

    private let shapes: [String: [Int]]

    init(_ configuration: BackboneConfiguration) {
        shapes = Dictionary(uniqueKeysWithValues: configuration.parameterShapes.map { ($0.name, $0.shape) })
    }

    func parameter(_ name: String) throws -> Tensor {
        guard let shape = shapes[name] else { throw ModelError("benchmark", "no parameter \(name)") }
        if name.contains("norm"), name.hasSuffix("weight") { return Tensor(shape: shape, repeating: 1) }
        var noise = Noise(state: UInt64(name.utf8.reduce(0) { $0 &* 31 &+ UInt32($1) }))
        return Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { _ in noise.next() * 0.03 })
    }

    func release(_ name: String) {}
}
