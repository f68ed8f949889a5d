import Compute
import Foundation
import Tensors
import Testing

/// The sizes of attention between its linear layers.
struct AttentionShape: Sendable, CustomTestStringConvertible {
    var heads = 2
    var size = 64
    var tokens: Int
    /// The number of queries; nil for all tokens.
    var rows: Int?

    var testDescription: String { "\(heads) heads of \(size), \(rows ?? tokens) of \(tokens) tokens" }

    /// Shapes that fill whole vectors and tiles, and shapes that do not.
    static let all = [
        AttentionShape(tokens: 197), AttentionShape(tokens: 1), AttentionShape(tokens: 16), AttentionShape(tokens: 17),
        AttentionShape(tokens: 32), AttentionShape(tokens: 33), AttentionShape(tokens: 49, rows: 1),
        AttentionShape(tokens: 65, rows: 17), AttentionShape(heads: 3, size: 16, tokens: 50),
        AttentionShape(heads: 1, size: 40, tokens: 31), AttentionShape(heads: 2, size: 72, tokens: 70),
        AttentionShape(size: 80, tokens: 257), AttentionShape(heads: 1, size: 128, tokens: 48),
        AttentionShape(heads: 5, size: 1, tokens: 5),
    ]
}

/// Random queries, keys and values, which are bf16 numbers already, what is added to scores, and the exact result.
struct AttentionInputs {
    let shape: AttentionShape
    /// (T, 3 · H · S).
    var values: [Float]
    private(set) var bias, weights: [Float]?

    var width: Int { shape.heads * shape.size }
    var rows: Int { shape.rows ?? shape.tokens }
    private var stride: Int { Softmax.stride(shape.tokens) }

    /// - Parameter scale: the deviation of queries, keys and values.
    init(_ shape: AttentionShape, hasAddends: Bool = false, scale: Float) {
        func noise(_ count: Int, _ name: String, _ scale: Float) -> [Float] {
            var noise = SplitMix64(seed: 3, name: name)
            return (0..<count).map { _ in
                Float(bitPattern: (Float(noise.nextNormal()) * scale).bitPattern & 0xffff_0000)
            }
        }
        self.shape = shape
        values = noise(shape.tokens * 3 * shape.heads * shape.size, "qkv", scale)
        guard hasAddends else { return }
        bias = noise(shape.heads * rows * stride, "bias", 3)
        weights = noise(stride, "weights", 1)
    }

    /// Where a token's queries (part 0), keys (1) or values (2) of a head are.
    func indices(_ part: Int, _ head: Int, _ token: Int) -> Range<Int> {
        let start = (token * 3 + part) * width + head * shape.size
        return start..<start + shape.size
    }

    /// What loops give, and one number more, which they must leave as it is.
    ///
    /// - Parameter apply: runs the loops on queries, keys and values, bias, weights, result and scratch memory.
    func result(
        _ type: OperandType, scratchCount: Int,
        _ apply: (NumberBuffer, FloatBuffer?, FloatBuffer?, NumberBuffer, FloatBuffer) -> Void
    ) -> [Float] {
        let qkv = NumberBuffer(type, count: values.count)
        let result = NumberBuffer(type, count: rows * width + 1)
        qkv.set(values)
        result.set([Float](repeating: 7, count: result.count))
        // What is left in scratch memory, here NaN, is not read.
        let scratch = FloatBuffer([Float](repeating: .nan, count: scratchCount))
        apply(qkv, bias.map(FloatBuffer.init), weights.map(FloatBuffer.init), result, scratch)
        return (0..<result.count).map(result.element)
    }

    /// The exact result of a row of a head.
    func expected(_ head: Int, _ row: Int) -> [Double] {
        let query = values[indices(0, head, row)]
        let scores = (0..<shape.tokens).map { token in
            var score = Double(weights?[token] ?? 0)
            if let bias { score += Double(bias[(head * rows + row) * stride + token]) }
            for (a, b) in zip(query, values[indices(1, head, token)]) { score += Double(a) * Double(b) }
            return score
        }
        let largest = scores.max() ?? 0
        let powers = scores.map { exp($0 - largest) }
        let sum = powers.reduce(0, +)
        var result = [Double](repeating: 0, count: shape.size)
        for (token, power) in powers.enumerated() {
            for (column, value) in values[indices(2, head, token)].enumerated() {
                result[column] += power / sum * Double(value)
            }
        }
        return result
    }
}
