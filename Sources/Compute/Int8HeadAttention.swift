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

        private let heads, headSize, tokens, rows: Int

        /// Attention of H heads of size S.
        ///
        /// - Parameters:
        ///   - tokens: the number of keys and values, T.
        ///   - rows: the number of queries, those of the first tokens, R.
        package init(heads: Int, headSize: Int, tokens: Int, rows: Int) {
            (self.heads, self.headSize, self.tokens, self.rows) = (heads, headSize, tokens, rows)
        }

        package var scratchCount: Int {
            var heads = arguments
            return (mv_int8_attention_scratch(&heads) + 3) / 4
        }

        package func apply(
            _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer,
            scratch: FloatBuffer
        ) {
            precondition(qkv.type == result.type, "the result is in the numbers of queries, keys and values")
            let width = heads * headSize
            var arguments = arguments
            arguments.is_bf16 = qkv.isNarrow
            arguments.queries = UnsafeRawPointer(qkv.address(0))
            arguments.keys = UnsafeRawPointer(qkv.address(width))
            arguments.values = UnsafeRawPointer(qkv.address(2 * width))
            arguments.row_stride = 3 * width
            if let bias { arguments.bias = UnsafePointer(bias.base) }
            arguments.bias_stride = Softmax.stride(tokens)
            if let weights { arguments.weights = UnsafePointer(weights.base) }
            arguments.result = result.address(0)
            arguments.result_stride = width
            mv_int8_attention(&arguments, scratch.base)
        }

        private var arguments: mv_int8_heads {
            var arguments = mv_int8_heads()
            (arguments.count, arguments.size, arguments.tokens, arguments.rows) = (heads, headSize, tokens, rows)
            return arguments
        }
    }
}
