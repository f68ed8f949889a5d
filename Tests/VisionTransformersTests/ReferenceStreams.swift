import Compute
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

    init(_ base: Checkpoint) throws {
        self.base = base
        c = base.configuration
        loader = WeightLoader(source: base, configuration: c)
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

    private func normalized(_ x: Row, _ norm: LayerNorm) -> Row {
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
        let root = (variance + Double(c.layerNormEpsilon)).squareRoot()
        return x.indices.map { (x[$0] - mean) / root * Double(norm.scale.base[$0]) + Double(norm.shift.base[$0]) }
    }

    private func apply(_ x: Row, _ change: LowRankChange) -> Row {
        let columns = change.down.shape[1]
        let low = (0..<change.rank).map { number in
            (0..<columns).reduce(0.0) { $0 + Double(change.down.values[number * columns + $1]) * x[$1] }
        }
        return (0..<change.up.shape[0]).map { row in
            low.indices.reduce(0.0) { $0 + Double(change.up.values[row * change.rank + $1]) * low[$1] }
        }
    }

    private func linear(_ x: Row, _ weights: LinearWeights, _ change: LowRankChange?, _ factors: [Float]) -> Row {
        let added = change.map { apply(x, $0) }
        return weights.bias.indices.map { row in
            var sum = Double(weights.bias[row]) + (added.map { $0[row] * Double(factors[row]) } ?? 0)
            for column in x.indices { sum += Double(weights.weight[row * x.count + column]) * x[column] }
            return sum
        }
    }

    private func activated(_ x: Double) -> Double {
        if c.isGated { return x / (1 + exp(-x)) }
        switch c.activation {
        case Activation.swish(let alpha): return x / (1 + exp(-Double(alpha) * x))
        case Activation.geluTanh: return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
        default: return 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
        }
    }

    /// A stream's CLS after the last normalization.
    func features(_ stream: TaskStream, _ context: [[[Double]]]) throws -> [Double] {
        let d = c.hiddenSize
        let tokens = try loader.initialTokens(for: ImageSize(height: 32, width: 32))
        var token = withExtendedLifetime(tokens) { tokens.elements.prefix(d).map(Double.init) }
        if c.anatomy.hasPreNorm { token = normalized(token, try loader.norm(ParameterNames.preNorm)) }
        for layer in 0..<c.layers {
            let (attention, mlp) = (try loader.attention(layer), try loader.mlp(layer))
            func part(_ x: Row, _ number: Int, _ name: String) throws -> Row {
                let module = "layers.\(layer).attention.\(name)"
                return linear(
                    x, attention.input.outputs(number * d..<(number + 1) * d), stream.changes[module],
                    try loader.outputFactors(of: module, outputs: d))
            }
            let own = normalized(token, attention.norm)
            let map = stream.maps[layer]
            let read =
                [own]
                + context[layer].map { x in
                    let change = apply(x, map.change)
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
                let added = linear(x, weights, stream.changes[module], factors)
                for channel in 0..<d { token[channel] += added[channel] }
            }
            try add(attended, attention.output, "layers.\(layer).attention.o_proj")
            let (input, names) = (normalized(token, mlp.norm), c.mlpNames(layer))
            let ones = [Float](repeating: 1, count: c.intermediateSize)
            var hidden = linear(input, mlp.first, stream.changes[names.first], ones).map(activated)
            if let up = mlp.up, let name = names.up {
                let branch = linear(input, up, stream.changes[name], ones)
                for index in hidden.indices { hidden[index] *= branch[index] }
            }
            try add(hidden, mlp.second, names.second)
        }
        return normalized(token, try loader.norm("layernorm"))
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
