internal import CKernels
internal import COneDNN
package import Tensors

/// Attention between its linear layers, `softmax(q kᵀ) v` of each of H heads of size S, in loops that keep scores in
/// the first cache. It runs on the calling thread.
package protocol FusedAttention: Sendable {
    /// The scratch memory that a call needs, in elements.
    var scratchCount: Int { get }

    /// Computes all heads, for T keys and values and the queries of the first R tokens.
    ///
    /// - Parameters:
    ///   - qkv: queries, which are already divided by √S, keys and values, (T, 3 · H · S).
    ///   - bias: what is added to the scores, (H, R, `Softmax.stride(T)`), or nil.
    ///   - weights: what is added to each row of scores, (T), or nil.
    ///   - result: receives (R, H · S), in the numbers of `qkv`.
    func apply(
        _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer,
        scratch: FloatBuffer)
}

/// Attention between its linear layers in bf16: `softmax(q kᵀ) v` of each head, with matrix instructions (AMX) where
/// the processor has them. Scores of 32 queries at a time stay in the first cache; with products by the library and
/// softmax between them, all scores of a head pass through the second.
///
/// Probabilities are rounded to bf16 before they are divided by their sum.
package struct BFloat16Attention: FusedAttention {
    /// Whether the processor has instructions for products of bf16, and the library is allowed to use them
    /// (`ONEDNN_MAX_CPU_ISA`).
    package static let isSupported = mv_has_bf16() != 0 && mv_attention_is_supported() != 0
    /// The same for matrix instructions.
    package static let hasTiles = isSupported && mv_has_amx() != 0

    private let usesTiles: Bool
    private let heads, headSize, tokens, rows: Int

    /// Attention of H heads of size S.
    ///
    /// - Parameters:
    ///   - tokens: the number of keys and values, T.
    ///   - rows: the number of queries, those of the first tokens, R.
    ///   - usesTiles: false for products without matrix instructions.
    package init(heads: Int, headSize: Int, tokens: Int, rows: Int, usesTiles: Bool = hasTiles) {
        (self.heads, self.headSize, self.tokens, self.rows) = (heads, headSize, tokens, rows)
        self.usesTiles = usesTiles
    }

    package var scratchCount: Int {
        var heads = arguments
        return (mv_attention_scratch(&heads) + 3) / 4
    }

    package func apply(
        _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer,
        scratch: FloatBuffer
    ) {
        guard case .bf16(let qkv) = qkv, case .bf16(let result) = result else {
            preconditionFailure("queries, keys, values and results are in bf16")
        }
        let width = heads * headSize
        var heads = arguments
        heads.queries = UnsafePointer(qkv.base)
        heads.keys = heads.queries + width
        heads.values = heads.keys + width
        heads.row_stride = 3 * width
        if let bias { heads.bias = UnsafePointer(bias.base) }
        heads.bias_stride = Softmax.stride(tokens)
        if let weights { heads.weights = UnsafePointer(weights.base) }
        heads.result = result.base
        heads.result_stride = width
        mv_attention(&heads, scratch.base)
    }

    private var arguments: mv_heads {
        var arguments = mv_heads()
        arguments.uses_tiles = usesTiles ? 1 : 0
        (arguments.count, arguments.size, arguments.tokens, arguments.rows) = (heads, headSize, tokens, rows)
        return arguments
    }
}
