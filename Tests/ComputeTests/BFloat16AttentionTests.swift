import Compute
import Tensors
import Testing

/// Attention in bf16 against double precision, where the processor has instructions for it.
@Suite(.enabled(if: BFloat16Attention.isSupported)) struct BFloat16AttentionTests {
    @Test(arguments: AttentionShape.all, [false, true]) func attends(_ shape: AttentionShape, _ hasAddends: Bool) {
        Self.attends(shape, hasAddends, usesTiles: false)
    }

    @Test(.enabled(if: BFloat16Attention.hasTiles), arguments: AttentionShape.all, [false, true])
    func attendsInTiles(_ shape: AttentionShape, _ hasAddends: Bool) {
        Self.attends(shape, hasAddends, usesTiles: true)
    }

    private static func attends(_ shape: AttentionShape, _ hasAddends: Bool, usesTiles: Bool) {
        // Scores of up to about 50, so that some rows read one token alone.
        let inputs = AttentionInputs(shape, hasAddends: hasAddends, scale: 2)
        let attention = BFloat16Attention(
            heads: shape.heads, headSize: shape.size, tokens: shape.tokens, rows: inputs.rows, usesTiles: usesTiles)
        let found = inputs.result(.bf16, scratchCount: attention.scratchCount) {
            attention.apply($0, plus: $1, weights: $2, into: $3, scratch: $4)
        }
        #expect(found.last == 7)
        var largest = 0.0
        for head in 0..<shape.heads {
            for row in 0..<inputs.rows where row % 5 == 0 || row >= inputs.rows - 5 {
                for (column, value) in inputs.expected(head, row).enumerated() {
                    let result = Double(found[row * inputs.width + head * shape.size + column])
                    largest = max(largest, abs(result - value) / (1 + abs(value)))
                }
            }
        }
        // Probabilities and results are rounded to bf16, by up to 2^-9 each; values are larger than results.
        #expect(largest < 0x1p-7)
    }
}
