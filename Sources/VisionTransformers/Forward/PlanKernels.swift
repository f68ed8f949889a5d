import Compute
import Tensors

/// All kernels of a forward pass but the heads'.
struct PlanKernels: Sendable, CustomStringConvertible {
    /// In what numbers it multiplies.
    let precision: InferencePrecision
    private let image: BackboneConfiguration.Extent
    /// What the last block computes; the others compute all.
    let tokens: BlockTokens
    /// Patches to tokens, added to what the tokens are.
    let embedding: Kernel
    /// Of each block's sublayers in their order, shared by blocks that compute the same.
    let blocks: [[any SublayerKernels]]
    /// The final layer normalization, of the tokens that are read.
    let finalNorm: NormKernel
    /// The largest scratch memory that any of them wants, in elements.
    let scratchCount: Int

    /// Plans the kernels.
    ///
    /// - Parameters:
    ///   - image: the size of images, which positions depend on.
    ///   - tokens: what the last block computes; the others compute all.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, image: BackboneConfiguration.Extent, tokens: BlockTokens,
        _ precision: InferencePrecision
    ) throws {
        (self.precision, self.image, self.tokens) = (precision, image, tokens)
        let patches = tokens.all - c.family.prefixTokens
        embedding = try Kernel.linear(
            engine, rows: patches, inputs: c.patchLength, outputs: c.hiddenSize, accumulates: true,
            operands: precision.stored)
        finalNorm = try NormKernel(engine, c, rows: tokens.read, .f32)
        let everyToken = BlockTokens(all: tokens.all, read: tokens.all)
        var planned: [BlockKind: [any SublayerKernels]] = [:]
        blocks = try (0..<c.layers).map { layer in
            let kind = BlockKind(isLast: layer == c.layers - 1, isRounded: precision.roundsBlock(layer))
            if let kernels = planned[kind] { return kernels }
            let kernels = try kind.sublayers(engine, c, kind.isLast ? tokens : everyToken, precision.stored)
            planned[kind] = kernels
            return kernels
        }
        scratchCount =
            ([embedding.scratchCount, finalNorm.scratchCount] + blocks.joined().map(\.scratchCount)).max() ?? 0
    }

    private var linear: [Kernel] { [embedding] + blocks.joined().flatMap(\.linear) }

    /// Whether the library says how all packed weights lie in memory.
    var layoutsAreKnown: Bool { linear.allSatisfy { !$0.packedLayout.isEmpty } }

    /// What packed weights depend on besides the model: precision, size of images, tokens, and how each layer's weights lie.
    var description: String {
        let layouts = linear.map { "\($0.implementation) \($0.packedLayout)" }
        return "\(precision), \(precision.stored), images of \(image), \(tokens.read) of \(tokens.all) tokens\n"
            + layouts.joined(separator: "\n")
    }
}

/// What blocks that share their kernels have in common.
private struct BlockKind: Hashable {
    /// Computes only the tokens that are read.
    let isLast: Bool
    /// Has its linear layers in eight bits.
    let isRounded: Bool

    /// Plans the kernels of its sublayers.
    func sublayers(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ stored: Precision
    ) throws -> [any SublayerKernels] {
        guard isRounded else {
            return [
                try FloatAttentionKernels(engine, c, tokens, stored), try FloatMLPKernels(engine, c, tokens, stored),
            ]
        }
        return [
            try Int8AttentionKernels(engine, c, tokens, stored: stored),
            try Int8MLPKernels(engine, c, tokens, stored: stored),
        ]
    }
}
