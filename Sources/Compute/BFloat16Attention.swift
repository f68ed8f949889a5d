internal import CKernels
internal import COneDNN
package import Tensors

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
    private let extents: HeadExtents

    /// Attention of H heads of size S.
    ///
    /// - Parameters:
    ///   - tokens: the number of keys and values, T.
    ///   - rows: the number of queries, those of the first tokens, R.
    ///   - usesTiles: false for products without matrix instructions.
    package init(heads: Int, headSize: Int, tokens: Int, rows: Int, usesTiles: Bool = hasTiles) {
        extents = HeadExtents(heads: heads, headSize: headSize, tokens: tokens, rows: rows)
        self.usesTiles = usesTiles
    }

    package var scratchCount: Int {
        var heads = extents.arguments
        return (mv_attention_scratch(&heads) + 3) / 4
    }

    package func apply(
        _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer,
        scratch: FloatBuffer
    ) {
        precondition(qkv.type == .bf16, "queries, keys and values are in bf16")
        var heads = extents.arguments(qkv, plus: bias, weights: weights, into: result)
        mv_attention(&heads, usesTiles ? 1 : 0, scratch.base)
    }
}
