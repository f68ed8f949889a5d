import Compute

/// How the queries, keys and values of a block's heads lie in memory, and what heads make of the values.
struct HeadLayout: Sendable {
    /// Elements between a head's rows, between heads, and from queries to keys and from these to values.
    let rowStride, headStride, partStride: Int
    /// Elements between the rows of a head's result, and between the results of heads.
    let resultRowStride, resultHeadStride: Int

    /// A row for each token, with all heads beside each other: as linear layers write and read them.
    static func rows(_ c: BackboneConfiguration) -> HeadLayout {
        let d = c.hiddenSize
        return HeadLayout(
            rowStride: 3 * d, headStride: c.headSize, partStride: d, resultRowStride: d, resultHeadStride: c.headSize)
    }

    /// A dense matrix for each head, for loops that write and read them anyway. The library multiplies dense matrices
    /// of bf16 numbers in half the time.
    static func matrices(_ c: BackboneConfiguration, tokens: Int) -> HeadLayout {
        let keys = Softmax.stride(tokens) * c.headSize
        return HeadLayout(
            rowStride: c.headSize, headStride: keys, partStride: c.heads * keys, resultRowStride: c.headSize,
            resultHeadStride: tokens * c.headSize)
    }

    /// What a block's attention uses.
    ///
    /// - Parameters:
    ///   - isQuantized: whether its linear layers are in eight bits, whose results and inputs loops write.
    ///   - isRotary: whether queries and keys are rotated, which is done in rows.
    init(_ c: BackboneConfiguration, _ tokens: BlockTokens, isQuantized: Bool, isRotary: Bool) {
        self = isQuantized && !isRotary && !tokens.poolsTokens ? .matrices(c, tokens: tokens.all) : .rows(c)
    }

    private init(rowStride: Int, headStride: Int, partStride: Int, resultRowStride: Int, resultHeadStride: Int) {
        (self.rowStride, self.headStride, self.partStride) = (rowStride, headStride, partStride)
        (self.resultRowStride, self.resultHeadStride) = (resultRowStride, resultHeadStride)
    }
}
