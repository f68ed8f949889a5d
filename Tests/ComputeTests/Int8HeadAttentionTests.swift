import Compute
import Tensors
import Testing

/// Attention in eight bits against double precision, where the processor has instructions for it.
@Suite(.enabled(if: Int8.HeadAttention.isSupported, "the processor has no instructions for int8"))
struct Int8HeadAttentionTests {
    /// Deviations of 0.6 give scores of up to about 10.
    private static func inputs(_ shape: AttentionShape, hasAddends: Bool = false) -> AttentionInputs {
        AttentionInputs(shape, hasAddends: hasAddends, scale: 0.6)
    }

    private static func result(_ inputs: AttentionInputs, _ type: OperandType) -> [Float] {
        let shape = inputs.shape
        let attention = Int8.HeadAttention(
            heads: shape.heads, headSize: shape.size, tokens: shape.tokens, rows: inputs.rows)
        return inputs.result(type, scratchCount: attention.scratchCount) {
            attention.apply($0, plus: $1, weights: $2, into: $3, scratch: $4)
        }
    }

    @Test(arguments: AttentionShape.all, [false, true]) func attends(_ shape: AttentionShape, _ hasAddends: Bool) {
        let inputs = Self.inputs(shape, hasAddends: hasAddends)
        let results = [OperandType.f32, .bf16].map { Self.result(inputs, $0) }
        var errors = [0.0, 0.0]
        let rows = (0..<inputs.rows).filter { $0 % 5 == 0 || $0 >= inputs.rows - 5 }
        for head in 0..<shape.heads {
            for row in rows {
                for (column, exact) in inputs.expected(head, row).enumerated() {
                    for (type, found) in results.enumerated() {
                        let difference = Double(found[row * inputs.width + head * shape.size + column]) - exact
                        errors[type] += difference * difference
                    }
                }
            }
        }
        for (found, sum) in zip(results, errors) {
            #expect(found.last == 7)
            let error = (sum / Double(rows.count * inputs.width)).squareRoot()
            // A step of values is about 0.015, and scores are off by up to 0.02.
            #expect(error < 0.012, "\(error)")
        }
    }

    /// Numbers that eight bits hold exactly are not changed; probabilities are rounded.
    @Test func wholeStepsAreExact() {
        var inputs = Self.inputs(AttentionShape(heads: 1, size: 8, tokens: 64))
        for token in 0..<64 {
            // Scores are 2 for even tokens and -2 for odd ones; the keys' mean is zero.
            let sign: Float = token % 2 == 0 ? 1 : -1
            for (column, index) in inputs.indices(0, 0, token).enumerated() {
                inputs.values[index] = column == 0 ? 1 : 0
            }
            for (column, index) in inputs.indices(1, 0, token).enumerated() {
                inputs.values[index] = column == 0 ? 2 * sign : 0
            }
            for index in inputs.indices(2, 0, token) { inputs.values[index] = 127 * sign }
        }
        let found = Self.result(inputs, .f32)
        let exact = inputs.expected(0, 0)[0]
        for row in 0..<64 {
            // An odd token has 4.67 steps of 254.9. All 32 of them together are off by a few, as rounding each to the
            // nearest would not be (11): with values of ±127, 2 · 127 / (32 · 259.6) for each.
            #expect(abs(Double(found[row * 8]) - exact) < 4 * 0.031, "\(row) \(found[row * 8])")
        }
    }

    /// Many tokens of which each has less than half a step of the largest probability count together.
    @Test func manySmallProbabilitiesAreNotLost() {
        var inputs = Self.inputs(AttentionShape(heads: 1, size: 16, tokens: 401))
        for token in 0..<401 {
            for index in inputs.indices(0, 0, token) { inputs.values[index] = 0.5 }
            // The first token's score is larger by 6.4 than the others', each of which then has 0.42 steps.
            for index in inputs.indices(1, 0, token) { inputs.values[index] = token == 0 ? 0.8 : 0 }
            for index in inputs.indices(2, 0, token) { inputs.values[index] = token == 0 ? -1 : 1 }
        }
        let found = Self.result(inputs, .f32)
        let exact = inputs.expected(0, 0)[0]
        #expect(exact > -0.24)
        for row in 0..<401 { #expect(abs(Double(found[row * 16]) - exact) < 0.02, "\(row) \(found[row * 16])") }
        // Rows differ in the tokens that are rounded up.
        let mean = (0..<401).reduce(0) { $0 + Double(found[$1 * 16]) } / 401
        #expect(abs(mean - exact) < 0.005, "\(mean) \(exact)")
        #expect(Set((0..<401).map { found[$0 * 16] }).count > 1)
    }

    @Test func bothTypesAreRoundedAlike() {
        let inputs = Self.inputs(AttentionShape(tokens: 50))
        for (wide, narrow) in zip(Self.result(inputs, .f32), Self.result(inputs, .bf16)) {
            #expect(abs(wide - narrow) <= abs(wide) * 0x1p-8)
        }
    }

    /// A number that is not finite is not hidden by rounding.
    @Test(arguments: [OperandType.f32, .bf16], [Float.nan, .infinity, -.infinity])
    func whatIsNotFiniteStaysSo(_ type: OperandType, _ value: Float) {
        for part in 0..<3 {
            var inputs = Self.inputs(AttentionShape(tokens: 40))
            inputs.values[inputs.indices(part, 1, 7).lowerBound + 3] = value
            let found = Self.result(inputs, type)
            for row in 0..<40 {
                let results = found[row * 128..<row * 128 + 128]
                let finite = [results.prefix(64), results.suffix(64)].map { $0.allSatisfy(\.isFinite) }
                // A query is one row's; keys and values are those of all rows of a head.
                #expect(finite[0] && finite[1] == (part == 0 && row != 7), "part \(part), row \(row)")
            }
        }
    }
}
