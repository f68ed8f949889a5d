internal import CKernels
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

/// The extents of attention's heads, for its kernels in C.
struct HeadExtents: Sendable {
    /// The number of heads, and their size.
    let heads, headSize: Int
    /// The number of keys and values, and of queries, those of the first tokens.
    let tokens, rows: Int

    /// The extents alone.
    var arguments: mv_heads {
        var arguments = mv_heads()
        (arguments.count, arguments.size, arguments.tokens, arguments.rows) = (heads, headSize, tokens, rows)
        return arguments
    }

    /// The extents with what a call reads and writes (see `FusedAttention.apply`).
    func arguments(
        _ qkv: NumberBuffer, plus bias: FloatBuffer?, weights: FloatBuffer?, into result: NumberBuffer
    ) -> mv_heads {
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
        return arguments
    }
}
