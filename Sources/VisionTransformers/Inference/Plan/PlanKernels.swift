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
    ///   - isCalibrated: whether int8 has weights that `quantize` has rounded.
    /// - Throws: `ComputeError` when the library has no kernel for the shapes.
    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, image: BackboneConfiguration.Extent, tokens: BlockTokens,
        _ precision: InferencePrecision, isCalibrated: Bool
    ) throws {
        (self.precision, self.image, self.tokens) = (precision, image, tokens)
        let patches = tokens.all - c.family.prefixTokens
        embedding = try Kernel.linear(
            engine, rows: patches, inputs: c.patchLength, outputs: c.hiddenSize, accumulates: true,
            operands: precision.stored)
        finalNorm = try NormKernel(engine, c, rows: tokens.read, .f32)
        let everyToken = BlockTokens(all: tokens.all, read: tokens.all)
        var planned: [SublayerKind: any SublayerKernels] = [:]
        blocks = try (0..<c.layers).map { layer in
            try BlockPart.allCases.map { part in
                let isRounded = precision == .int8 && part.isRounded(in: layer, isCalibrated: isCalibrated)
                let kind = SublayerKind(
                    part: part, tokens: layer == c.layers - 1 ? tokens : everyToken, isRounded: isRounded)
                if let kernels = planned[kind] { return kernels }
                let kernels = try kind.kernels(engine, c, precision.stored)
                planned[kind] = kernels
                return kernels
            }
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

/// A part of a block, in their order.
enum BlockPart: CaseIterable {
    case attention
    case mlp

    /// Whether int8 rounds its linear layers to eight bits: not the first attention's, whose inputs differ most from token to token and whose
    /// errors all that follows reads; nor those of the first MLP where nobody has seen what they read.
    func isRounded(in layer: Int, isCalibrated: Bool) -> Bool {
        layer > 0 || self == .mlp && isCalibrated
    }
}

/// What sublayers that share their kernels have in common.
private struct SublayerKind: Hashable {
    let part: BlockPart
    let tokens: BlockTokens
    /// Has its linear layers in eight bits.
    let isRounded: Bool

    /// Plans the kernels.
    func kernels(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ stored: Precision
    ) throws -> any SublayerKernels {
        switch (part, isRounded) {
        case (.attention, _) where tokens.read < tokens.all: try ReadAttentionKernels(engine, c, tokens, stored)
        case (.attention, false): try FloatAttentionKernels(engine, c, tokens: tokens.all, stored)
        case (.attention, true): try Int8AttentionKernels(engine, c, tokens: tokens.all, stored: stored)
        case (.mlp, false): try FloatMLPKernels(engine, c, tokens, stored)
        case (.mlp, true): try Int8MLPKernels(engine, c, tokens, stored: stored)
        }
    }
}
