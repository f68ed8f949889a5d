internal import CKernels
import Glibc
package import Tensors

/// Finds the most alike of an image's tokens, and merges them: bipartite soft matching of Bolya et al., Token Merging:
/// Your ViT But Faster (ICLR 2023, arXiv 2210.09461).
///
/// Of N tokens in a row, those at even positions are candidates, and each is matched with the one at an odd position
/// whose key has the smallest angle with its own, the first of equal ones. The `merged` candidates that are most like
/// their matches are merged into them, of equal ones the first. A token is the mean of those that it was merged from,
/// weighted by their sizes. The tokens that remain keep their order.
package struct TokenMatcher: Sendable {
    /// The number of tokens, N, and how many of them are merged into others: at most N / 2.
    package let tokens, merged: Int
    private let heads, headSize: Int
    private let candidates: Int
    /// (candidates, the other tokens): the cosines of their keys.
    private let cosines: Kernel
    /// The natural logarithms of whole numbers.
    private let logarithms: [Float]

    /// Plans the matching.
    ///
    /// - Parameters:
    ///   - largestSize: the number of tokens before any was merged.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    package init(
        _ engine: KernelEngine, tokens: Int, merged: Int, heads: Int, headSize: Int, largestSize: Int
    ) throws {
        precondition(merged > 0 && merged <= tokens / 2, "tokens to merge")
        (self.tokens, self.merged, self.heads, self.headSize) = (tokens, merged, heads, headSize)
        candidates = (tokens + 1) / 2
        cosines = try Kernel.product(
            engine, m: candidates, k: headSize, n: tokens / 2, sourceStride: 2 * headSize, otherStride: 2 * headSize,
            transposed: true, outputStride: tokens / 2, operands: .f32)
        logarithms = (0...largestSize).map { Float(log(Double(max($0, 1)))) }
    }

    /// The scratch memory that it needs, in elements.
    package var scratchCount: Int { cosines.scratchCount }

    /// Binds it to one thread's buffers.
    ///
    /// - Parameters:
    ///   - keys: where the first token's keys of all heads are, and the distance between tokens, in elements.
    ///   - rows: the tokens, of which the first is the one after `prefix` others; they are merged in place.
    ///   - products: memory for (candidates, N / 2) numbers.
    package func bind(
        keys: (buffer: NumberBuffer, offset: Int, stride: Int), rows: FloatBuffer, width: Int, prefix: Int,
        _ sizes: TokenSizes, products: FloatBuffer, scratch: FloatBuffer
    ) throws(ComputeError) -> () throws -> Void {
        let product = try KernelCall(
            cosines, source: Operand(sizes.keys), weights: Operand(sizes.keys, offset: headSize),
            destination: Operand(products), scratch: scratch)
        return { [self] in
            switch keys.buffer {
            case .f32(let buffer):
                mv_mean_keys(buffer.base + keys.offset, tokens, keys.stride, heads, headSize, sizes.keys.base)
            case .bf16(let buffer):
                mv_bf16_mean_keys(buffer.base + keys.offset, tokens, keys.stride, heads, headSize, sizes.keys.base)
            }
            try product.run()
            sizes.chooseMerges(products, candidates: candidates, others: tokens / 2, count: merged)
            merge(rows, width: width, prefix: prefix, sizes)
        }
    }

    /// Merges what was chosen, and moves the remaining tokens together.
    private func merge(_ rows: FloatBuffer, width: Int, prefix: Int, _ sizes: TokenSizes) {
        let (first, sizesOfTokens) = (rows.base + prefix * width, sizes.sizes.base + prefix)
        for candidate in 0..<candidates where sizes.isMerged[candidate] {
            let (source, target) = (2 * candidate, 2 * Int(sizes.matches[candidate]) + 1)
            let sum = sizesOfTokens[source] + sizesOfTokens[target]
            mv_blend(first + target * width, first + source * width, sizesOfTokens[source] / sum, width)
            sizesOfTokens[target] = sum
        }
        var next = 0
        for token in 0..<tokens where !(token.isMultiple(of: 2) && sizes.isMerged[token / 2]) {
            if next < token {
                (first + next * width).update(from: first + token * width, count: width)
                sizesOfTokens[next] = sizesOfTokens[token]
            }
            next += 1
        }
        for token in 0..<next { sizes.logarithms.base[prefix + token] = logarithms[Int(sizesOfTokens[token])] }
    }
}

/// One thread's memory for the sizes of an image's tokens, of how many patches each is made, and for matching them.
package final class TokenSizes {
    /// The size of each token, prefix tokens included.
    package let sizes: FloatBuffer
    /// Their natural logarithms, which attention adds to scores so that a token counts as often as it is large.
    package let logarithms: FloatBuffer
    /// The keys of an image's patch tokens, averaged over heads and of unit length.
    let keys: FloatBuffer
    private let largest: FloatBuffer
    private(set) var matches: [UInt32]
    private(set) var isMerged: [Bool]
    private var order: [UInt64]

    /// Takes memory for an image's tokens.
    ///
    /// - Parameters:
    ///   - tokens: all tokens, prefix tokens included.
    package init(tokens: Int, headSize: Int) {
        let candidates = (tokens + 1) / 2
        (sizes, logarithms) = (FloatBuffer(count: tokens), FloatBuffer(count: Softmax.stride(tokens)))
        keys = FloatBuffer(count: tokens * headSize)
        largest = FloatBuffer(count: candidates)
        matches = [UInt32](repeating: 0, count: candidates)
        isMerged = [Bool](repeating: false, count: candidates)
        order = [UInt64](repeating: 0, count: candidates)
        reset()
    }

    /// Gives each token the size 1.
    package func reset() {
        sizes.base.update(repeating: 1, count: sizes.count)
        logarithms.base.update(repeating: 0, count: logarithms.count)
    }

    /// Finds each candidate's match, and chooses the candidates to be merged.
    func chooseMerges(_ cosines: FloatBuffer, candidates: Int, others: Int, count: Int) {
        mv_row_maxima(cosines.base, candidates, others, largest.base, &matches)
        for candidate in 0..<candidates {
            // Descending cosines, then ascending positions, as one number each.
            let bits = largest.base[candidate].bitPattern
            let ascending = bits >> 31 == 0 ? bits | 1 << 31 : ~bits
            order[candidate] = UInt64(~ascending) << 32 | UInt64(candidate)
            isMerged[candidate] = false
        }
        order.withUnsafeMutableBufferPointer { $0[..<candidates].sort() }
        for key in order.prefix(count) { isMerged[Int(key & 0xFFFF_FFFF)] = true }
    }
}
