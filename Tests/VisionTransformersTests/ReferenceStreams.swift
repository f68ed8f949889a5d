import Foundation
import Images
import Tensors

@testable import VisionTransformers

/// Task streams by their formulas, token by token in double precision: keys and values of every token are computed.
struct ReferenceStreams {
    private typealias Row = [Double]

    private let base: Checkpoint
    private let c: BackboneConfiguration
    private let loader: WeightLoader
    private let layers: ReferenceLayers

    init(_ base: Checkpoint) throws {
        self.base = base
        c = base.configuration
        loader = WeightLoader(source: base, configuration: c)
        layers = ReferenceLayers(c: c)
    }

    /// The normalized tokens but CLS before each block's attention, for each image.
    func context(_ inputs: [Float], images: Int) throws -> [[[[Double]]]] {
        let model = try MultitaskModel(
            base, configuration: c, heads: [], imageSize: ImageSize(height: 32, width: 32), threads: 1,
            outputs: .allTokens)
        var result = [[[[Double]]]](repeating: [], count: images)
        for image in 0..<images {
            var layers: [[[Double]]] = []
            let input = Array(inputs[image * model.inputCount..<(image + 1) * model.inputCount])
            nonisolated(unsafe) let collected = Collected()
            try model.observe(input, images: 1) { _, _, site, values, rows, columns in
                guard site == .attentionInput else { return }
                collected.layers.append(
                    (1..<rows).map { row in (0..<columns).map { Double(values[row * columns + $0]) } })
            }
            layers = collected.layers
            result[image] = layers
        }
        return result
    }

    private final class Collected { var layers: [[[Double]]] = [] }

    /// A stream's CLS after the last normalization.
    func features(_ stream: TaskStream, _ context: [[[Double]]]) throws -> [Double] {
        let d = c.hiddenSize
        let tokens = try loader.initialTokens(for: ImageSize(height: 32, width: 32))
        var token = withExtendedLifetime(tokens) { tokens.elements.prefix(d).map(Double.init) }
        if c.anatomy.hasPreNorm { token = layers.normalized(token, try loader.norm(ParameterNames.preNorm)) }
        for layer in 0..<c.layers {
            let (attention, mlp) = (try loader.attention(layer), try loader.mlp(layer))
            func part(_ x: Row, _ number: Int, _ name: String) throws -> Row {
                let module = "layers.\(layer).attention.\(name)"
                return layers.linear(
                    x, attention.input.outputs(number * d..<(number + 1) * d), stream.changes[module],
                    try loader.outputFactors(of: module, outputs: d))
            }
            let own = layers.normalized(token, attention.norm)
            let map = stream.maps[layer]
            let read =
                [own]
                + context[layer].map { x in
                    let change = layers.apply(x, map.change)
                    return x.indices.map { x[$0] + change[$0] + Double(map.shift[$0]) }
                }
            let query = try part(own, 0, "q_proj")
            let keys: [Row] = try read.map { try part($0, 1, "k_proj") }
            let values: [Row] = try read.map { try part($0, 2, "v_proj") }
            var attended = Row(repeating: 0, count: d)
            for head in 0..<c.heads {
                let range = head * c.headSize..<(head + 1) * c.headSize
                let scores: [Double] = keys.map { key in range.reduce(0.0) { $0 + query[$1] * key[$1] } }
                let highest = scores.max() ?? 0
                let weights = scores.map { exp($0 - highest) }
                let sum = weights.reduce(0, +)
                for (weight, value) in zip(weights, values) {
                    for channel in range { attended[channel] += weight / sum * value[channel] }
                }
            }
            func add(_ x: Row, _ weights: LinearWeights, _ module: String) throws {
                let factors = try loader.outputFactors(of: module, outputs: d)
                let added = layers.linear(x, weights, stream.changes[module], factors)
                for channel in 0..<d { token[channel] += added[channel] }
            }
            try add(attended, attention.output, "layers.\(layer).attention.o_proj")
            let (input, names) = (layers.normalized(token, mlp.norm), c.mlpNames(layer))
            let ones = [Float](repeating: 1, count: c.intermediateSize)
            var hidden = layers.linear(input, mlp.first, stream.changes[names.first], ones).map(layers.activated)
            if let up = mlp.up, let name = names.up {
                let branch = layers.linear(input, up, stream.changes[name], ones)
                for index in hidden.indices { hidden[index] *= branch[index] }
            }
            try add(hidden, mlp.second, names.second)
        }
        return layers.normalized(token, try loader.norm("layernorm"))
    }

    /// What a head gives of features.
    func logits(_ features: [Double], _ head: Head) -> [Double] {
        head.classes.indices.map { label in
            features.indices.reduce(Double(head.bias.values[label])) {
                $0 + Double(head.weight.values[label * features.count + $1]) * features[$1]
            }
        }
    }
}
