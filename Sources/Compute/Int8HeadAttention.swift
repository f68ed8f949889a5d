internal import CKernels
internal import COneDNN
package import Tensors

extension Int8 {
    /// Attention between its linear layers in eight bits: `softmax(q kᵀ) v` of each head. See `int8_attention.h` for
    /// how numbers are rounded.
    ///
    /// Queries, keys, values and results are in f32 or bf16.
    package struct HeadAttention: FusedAttention {
        /// Whether the processor has the instructions, and the library is allowed to use them (`ONEDNN_MAX_CPU_ISA`).
        package static let isSupported = Int8.isSupported && mv_int8_attention_is_supported() != 0

        private let extents: HeadExtents

        /// Attention of H heads of size S.
        ///
        /// - Parameters:
        ///   - tokens: the number of keys and values, T.
        ///   - rows: the number of queries, those of the first tokens, R.
        package init(heads: Int, headSize: Int, tokens: Int, rows: Int) {
            extents = HeadExtents(heads: heads, headSize: headSize, tokens: tokens, rows: rows)
        }

        package var scratchCount: Int {
            var heads = extents.arguments
            return (mv_int8_attention_scratch(&heads) + 3) / 4
        }

        package func apply(
            _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer,
            scratch: FloatBuffer
        ) {
            var heads = extents.arguments(qkv, plus: bias, weights: weights, into: result)
            mv_int8_attention(&heads, scratch.base)
        }
    }
}
