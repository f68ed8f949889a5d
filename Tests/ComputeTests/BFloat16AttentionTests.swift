import Compute
import Foundation
import Tensors
import Testing

/// Attention in bf16 against double precision, where the processor has instructions for it.
@Suite(.enabled(if: BFloat16Attention.isSupported)) struct BFloat16AttentionTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        var heads = 2
        var size = 64
        var tokens: Int
        var rows: Int?
        var testDescription: String { "\(heads) heads of \(size), \(rows ?? tokens) of \(tokens) tokens" }
    }

    private static let shapes = [
        Shape(tokens: 197), Shape(tokens: 1), Shape(tokens: 16), Shape(tokens: 17), Shape(tokens: 32),
        Shape(tokens: 33), Shape(tokens: 49, rows: 1), Shape(tokens: 65, rows: 17),
        Shape(heads: 3, size: 16, tokens: 50),
        Shape(heads: 1, size: 40, tokens: 31), Shape(heads: 2, size: 72, tokens: 70), Shape(size: 80, tokens: 257),
        Shape(heads: 1, size: 128, tokens: 48), Shape(heads: 5, size: 1, tokens: 5),
    ]

    /// Numbers that are bf16 already.
    private static func noise(_ count: Int, _ name: String, _ scale: Float) -> [Float] {
        var noise = SplitMix64(seed: 3, name: name)
        return (0..<count).map { _ in
            Float(bitPattern: (Float(noise.nextNormal()) * scale).bitPattern & 0xffff_0000)
        }
    }

    @Test(arguments: shapes, [false, true]) func attends(_ shape: Shape, _ hasAddends: Bool) {
        Self.attends(shape, hasAddends, usesTiles: false)
    }

    @Test(.enabled(if: BFloat16Attention.hasTiles), arguments: shapes, [false, true])
    func attendsInTiles(_ shape: Shape, _ hasAddends: Bool) {
        Self.attends(shape, hasAddends, usesTiles: true)
    }

    private static func attends(_ shape: Shape, _ hasAddends: Bool, usesTiles: Bool) {
        let (heads, size, tokens, rows) = (shape.heads, shape.size, shape.tokens, shape.rows ?? shape.tokens)
        let (width, stride) = (heads * size, Softmax.stride(tokens))
        // Scores of up to about 50, so that some rows read one token alone.
        let values = noise(tokens * 3 * width, "qkv", 2)
        let bias = hasAddends ? noise(heads * rows * stride, "bias", 3) : nil
        let weights = hasAddends ? noise(stride, "weights", 1) : nil
        let attention = BFloat16Attention(
            heads: heads, headSize: size, tokens: tokens, rows: rows, usesTiles: usesTiles)
        let (qkv, result) = (NumberBuffer(.bf16, count: values.count), NumberBuffer(.bf16, count: rows * width + 1))
        qkv.set(values)
        result.set([Float](repeating: 7, count: rows * width + 1))
        // What is left in scratch memory, here NaN, is not read.
        let scratch = FloatBuffer([Float](repeating: .nan, count: attention.scratchCount))
        attention.apply(
            qkv, plus: bias.map(FloatBuffer.init), weights: weights.map(FloatBuffer.init), into: result,
            scratch: scratch)
        #expect(result.element(rows * width) == 7)
        var largest = 0.0
        for head in 0..<heads {
            for row in 0..<rows where row % 5 == 0 || row >= rows - 5 {
                let expected = Self.expected(
                    values, head, row, size, width, tokens: tokens,
                    addends: (0..<tokens).map {
                        Double(bias?[(head * rows + row) * stride + $0] ?? 0) + Double(weights?[$0] ?? 0)
                    })
                for (column, value) in expected.enumerated() {
                    let found = Double(result.element(row * width + head * size + column))
                    largest = max(largest, abs(found - value) / (1 + abs(value)))
                }
            }
        }
        // Probabilities and results are rounded to bf16, by up to 2^-9 each; values are larger than results.
        #expect(largest < 0x1p-7)
    }

    private static func expected(
        _ values: [Float], _ head: Int, _ row: Int, _ size: Int, _ width: Int, tokens: Int, addends: [Double]
    ) -> [Double] {
        func element(_ part: Int, _ token: Int, _ column: Int) -> Double {
            Double(values[token * 3 * width + part * width + head * size + column])
        }
        let scores = (0..<tokens).map { token in
            (0..<size).reduce(addends[token]) { $0 + element(0, row, $1) * element(1, token, $1) }
        }
        let largest = scores.max() ?? 0
        let powers = scores.map { exp($0 - largest) }
        let sum = powers.reduce(0, +)
        return (0..<size).map { column in
            (0..<tokens).reduce(0) { $0 + powers[$1] / sum * element(2, $1, column) }
        }
    }
}
