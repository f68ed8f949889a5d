import Compute
import Tensors

/// The kernels of a block, and how its weights are brought into the layout that they want.
protocol ForwardBlockKernels: Sendable {
    /// The linear layers' kernels.
    var linear: [Kernel] { get }
    /// The largest scratch memory that any of the block's kernels wants, in elements.
    var scratchCount: Int { get }
    /// Folds and packs a block's weights, under names that begin with the block's.
    func pack(_ loader: PlanLoader, layer: Int, _ statistics: ActivationStatistics?) throws -> PackedWeights
    /// The block that computes with these weights.
    func block(_ packed: PackedWeights, layer: Int) throws -> any ForwardBlock
}

/// All kernels of a forward pass but the heads'.
struct PlanKernels: Sendable, CustomStringConvertible {
    /// In what numbers it multiplies.
    let precision: InferencePrecision
    private let image: BackboneConfiguration.Extent
    /// What the last block computes; the others compute all.
    let tokens: BlockTokens
    /// Patches to tokens, added to what the tokens are.
    let embedding: Kernel
    /// Of each block, shared by blocks that compute the same.
    let blocks: [any ForwardBlockKernels]
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
        let places = [BlockTokens(all: tokens.all, read: tokens.all), tokens]
        let float = try places.map { try FloatBlockKernels(engine, c, $0, precision.stored) }
        let int8 =
            precision == .int8
            ? try places.map { try Int8BlockKernels(engine, c, $0, stored: precision.stored) } : []
        blocks = (0..<c.layers).map { layer -> any ForwardBlockKernels in
            let place = layer == c.layers - 1 ? 1 : 0
            guard !int8.isEmpty, InferencePrecision.roundsBlock(layer) else { return float[place] }
            return int8[place]
        }
        scratchCount = ([embedding.scratchCount, finalNorm.scratchCount] + blocks.map(\.scratchCount)).max() ?? 0
    }

    private var linear: [Kernel] { [embedding] + blocks.flatMap(\.linear) }

    /// Whether the library says how all packed weights lie in memory.
    var layoutsAreKnown: Bool { linear.allSatisfy { !$0.packedLayout.isEmpty } }

    /// What packed weights depend on besides the model: precision, size of images, tokens, and how each layer's weights lie.
    var description: String {
        let layouts = linear.map { "\($0.implementation) \($0.packedLayout)" }
        return "\(precision), \(precision.stored), images of \(image), \(tokens.read) of \(tokens.all) tokens\n"
            + layouts.joined(separator: "\n")
    }
}
