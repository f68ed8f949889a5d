import Compute
import Tensors

/// Token merging between a block's attention and its MLP, by the keys that attention has just computed. It has no
/// weights, and is shared by blocks with the same tokens.
struct TokenMergingStep: Sublayer {
    private let configuration: BackboneConfiguration
    private let matcher: TokenMatcher

    /// Plans the merging of a block, or nil where it merges nothing.
    ///
    /// - Parameter patches: the patch tokens of an image before any was merged.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    init?(_ engine: KernelEngine, _ c: BackboneConfiguration, _ block: BlockShape, patches: Int) throws {
        guard block.merged > 0 else { return nil }
        configuration = c
        matcher = try TokenMatcher(
            engine, tokens: block.attention.all - c.prefix.count, merged: block.merged, heads: c.heads,
            headSize: c.headSize, largestSize: patches)
    }

    /// The scratch memory that it needs, in elements.
    var scratchCount: Int { matcher.scratchCount }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let sizes = b.sizes else { return [] }
        let (d, prefix) = (configuration.hiddenSize, configuration.prefix.count)
        return [
            ForwardStep(
                .merging,
                try matcher.bind(
                    keys: (b.qkv, prefix * 3 * d + d, 3 * d), rows: b.stream, width: d, prefix: prefix, sizes,
                    products: b.scores, scratch: b.scratch))
        ]
    }
}
