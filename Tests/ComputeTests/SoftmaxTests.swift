import Compute
import Tensors
import Testing

/// Softmax against its readable version.
@Suite struct SoftmaxTests {
    private static let shapes = [(1, 1), (2, 15), (3, 16), (65, 65), (5, 197)]

    /// Rows of scores from -44 to 44 with noise between them, and the probabilities of each.
    private static func rows(_ rows: Int, _ columns: Int) -> (scores: FloatBuffer, expected: [[Float]]) {
        let stride = Softmax.stride(columns)
        let scores = FloatBuffer((0..<rows * stride).map { Float(($0 * 37) % 101) * 0.88 - 44 })
        return (
            scores, (0..<rows).map { Reference.softmax(Array(scores.elements[$0 * stride..<$0 * stride + columns])) }
        )
    }

    @Test(arguments: shapes) func inPlace(_ rows: Int, _ columns: Int) {
        let (scores, expected) = Self.rows(rows, columns)
        Softmax.apply(scores, into: .f32(scores), rows: rows, columns: columns)
        #expect(Self.matches(scores, expected, stride: Softmax.stride(columns), error: 8e-6))
    }

    /// A whole row is computed alike wherever its result goes: what is trained is what is merged.
    @Test(arguments: shapes) func denseRowsHaveTheSameBits(_ rows: Int, _ columns: Int) {
        let stride = Softmax.stride(columns)
        let (scores, _) = Self.rows(rows, columns)
        let (copy, dense) = (FloatBuffer(Array(scores.elements)), FloatBuffer(count: rows * columns + 3))
        dense.base.update(repeating: 7, count: dense.count)
        Softmax.apply(scores, into: .f32(scores), rows: rows, columns: columns)
        Softmax.apply(copy, into: .f32(dense), at: 2, rows: rows, columns: columns, resultStride: columns)
        for row in 0..<rows {
            let start = 2 + row * columns
            #expect(
                Array(dense.elements[start..<start + columns])
                    == Array(scores.elements[row * stride..<row * stride + columns]))
        }
        #expect(dense.elements[1] == 7 && dense.elements[dense.count - 1] == 7)
    }

    @Test(arguments: shapes, [true, false]) func rounded(_ shape: (Int, Int), _ isDense: Bool) {
        let (rows, columns) = shape
        let stride = isDense ? columns : Softmax.stride(columns)
        let (scores, expected) = Self.rows(rows, columns)
        let result = BFloat16Buffer(count: rows * stride)
        Softmax.apply(scores, into: .bf16(result), rows: rows, columns: columns, resultStride: stride)
        let found = FloatBuffer(count: rows * stride)
        BFloat16.widen(result.base, into: found.base, count: found.count)
        #expect(Self.matches(found, expected, stride: stride, error: 0x1p-8))
    }

    private static func matches(_ found: FloatBuffer, _ expected: [[Float]], stride: Int, error: Float) -> Bool {
        expected.enumerated().allSatisfy { row, values in
            values.enumerated().allSatisfy {
                abs(found.elements[row * stride + $0.offset] - $0.element) <= max($0.element * error, 1e-37)
            }
        }
    }
}
