import Compute
import Foundation
import Images
import Tensors

@testable import VisionTransformers

/// A forward pass with token merging by its formulas, token by token in double precision.
struct ReferenceMerging {
    private typealias Row = [Double]

    /// A token, and of how many patches it is made.
    private struct Token {
        var values: Row
        var size = 1.0
    }

    let checkpoint: Checkpoint
    let merging: TokenMerging
    let size: ImageSize

    /// The features that heads may read, all parts, of one image's patches.
    func features(_ patches: [Float]) throws -> [Double] {
        let c = checkpoint.configuration
        let (d, prefix) = (c.hiddenSize, c.prefix.count)
        let loader = WeightLoader(source: checkpoint, configuration: c)
        let layers = ReferenceLayers(c: c)
        let initial = try loader.initialTokens(for: size)
        let embedding = try loader.patchEmbedding()
        var tokens = (0..<initial.count / d).map { row in
            Token(values: (0..<d).map { Double(initial.base[row * d + $0]) })
        }
        for row in prefix..<tokens.count {
            let start = (row - prefix) * c.patchLength
            let pixels = patches[start..<start + c.patchLength].map(Double.init)
            let bias = embedding.bias.isEmpty ? [Float](repeating: 0, count: d) : embedding.bias
            let embedded = layers.linear(pixels, LinearWeights(weight: embedding.weight, bias: bias))
            for channel in 0..<d { tokens[row].values[channel] += embedded[channel] }
        }
        if c.anatomy.hasPreNorm {
            let norm = try loader.norm(ParameterNames.preNorm)
            for row in tokens.indices { tokens[row].values = layers.normalized(tokens[row].values, norm) }
        }
        for layer in 0..<c.layers {
            let (attention, mlp) = (try loader.attention(layer), try loader.mlp(layer))
            let qkv = tokens.map { layers.linear(layers.normalized($0.values, attention.norm), attention.input) }
            for row in tokens.indices {
                let attended = attend(row, qkv, tokens, c)
                let added = layers.linear(attended, attention.output)
                for channel in 0..<d { tokens[row].values[channel] += added[channel] }
            }
            merge(&tokens, keys: qkv.map { keys($0, c) }, count: merging.counts[layer], prefix: prefix)
            for row in tokens.indices {
                let input = layers.normalized(tokens[row].values, mlp.norm)
                var hidden = layers.linear(input, mlp.first).map(layers.activated)
                if let up = mlp.up {
                    let branch = layers.linear(input, up)
                    for index in hidden.indices { hidden[index] *= branch[index] }
                }
                let added = layers.linear(hidden, mlp.second)
                for channel in 0..<d { tokens[row].values[channel] += added[channel] }
            }
        }
        let norm = c.anatomy.finalNorm == .none ? nil : try loader.norm("layernorm")
        if let norm, c.anatomy.finalNorm == .tokens {
            for row in tokens.indices { tokens[row].values = layers.normalized(tokens[row].values, norm) }
        }
        var features = c.anatomy.features.hasTokens ? tokens.prefix(c.prefix.read).flatMap(\.values) : []
        var mean = Row(repeating: 0, count: d)
        let patchTokens = tokens[prefix...]
        let total = patchTokens.reduce(0) { $0 + $1.size }
        for token in patchTokens {
            for channel in 0..<d { mean[channel] += token.size / total * token.values[channel] }
        }
        if let norm, c.anatomy.finalNorm == .features { mean = layers.normalized(mean, norm) }
        features += mean
        return features
    }

    private func attend(_ row: Int, _ qkv: [Row], _ tokens: [Token], _ c: BackboneConfiguration) -> Row {
        let d = c.hiddenSize
        var result = Row(repeating: 0, count: d)
        for head in 0..<c.heads {
            let channels = head * c.headSize..<(head + 1) * c.headSize
            let scores = qkv.indices.map { other in
                channels.reduce(log(tokens[other].size)) { $0 + qkv[row][$1] * qkv[other][d + $1] }
            }
            let highest = scores.max() ?? 0
            let weights = scores.map { exp($0 - highest) }
            let sum = weights.reduce(0, +)
            for (weight, values) in zip(weights, qkv) {
                for channel in channels { result[channel] += weight / sum * values[2 * d + channel] }
            }
        }
        return result
    }

    /// A token's keys, averaged over heads.
    private func keys(_ qkv: Row, _ c: BackboneConfiguration) -> Row {
        (0..<c.headSize).map { channel in
            (0..<c.heads).reduce(0) { $0 + qkv[c.hiddenSize + $1 * c.headSize + channel] } / Double(c.heads)
        }
    }

    private func merge(_ tokens: inout [Token], keys: [Row], count: Int, prefix: Int) {
        func cosine(_ a: Row, _ b: Row) -> Double {
            func dot(_ x: Row, _ y: Row) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
            return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
        }
        let even = stride(from: prefix, to: tokens.count, by: 2)
        let odd = Array(stride(from: prefix + 1, to: tokens.count, by: 2))
        let matches = even.map { candidate in
            odd.map { (candidate: candidate, other: $0, likeness: cosine(keys[candidate], keys[$0])) }
                .max { $0.likeness < $1.likeness }
        }.compactMap(\.self)
        let chosen = matches.sorted { $0.likeness > $1.likeness }.prefix(count)
        for (candidate, other, _) in chosen {
            let (one, two) = (tokens[candidate], tokens[other])
            tokens[other].size += one.size
            tokens[other].values = zip(one.values, two.values).map {
                ($0 * one.size + $1 * two.size) / (one.size + two.size)
            }
        }
        for candidate in chosen.map(\.candidate).sorted(by: >) { tokens.remove(at: candidate) }
    }
}
