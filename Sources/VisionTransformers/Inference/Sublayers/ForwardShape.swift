import Compute
package import Images
import Tensors

/// What a model gives besides logits; each costs time and memory.
package struct ModelOutputs: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    /// All parts of the features (see `FeatureParts`), whatever the heads read.
    package static let features = ModelOutputs(rawValue: 1)
    /// The hidden states of all tokens, and what the layers read. Without it the last block computes only the tokens
    /// that the heads read.
    package static let allTokens = ModelOutputs(rawValue: 2)
    /// What task streams read, instead of heads: nothing of the last block but its inputs is computed.
    static let streamContext = ModelOutputs(rawValue: 4)
}

/// What a model is planned for.
package struct InferenceSettings: Sendable {
    /// The size of the images, as preprocessing gives them.
    package var imageSize: ImageSize
    /// What the model gives besides logits.
    package var outputs: ModelOutputs
    /// In which numbers it multiplies.
    package var precision: ComputePrecision
    /// How many tokens each block merges; nil for none.
    package var tokenMerging: TokenMerging?

    /// Settings; logits in f32 of all tokens unless specified.
    package init(
        imageSize: ImageSize, outputs: ModelOutputs = [], precision: ComputePrecision = .f32,
        tokenMerging: TokenMerging? = nil
    ) {
        (self.imageSize, self.outputs, self.precision) = (imageSize, outputs, precision)
        self.tokenMerging = tokenMerging?.mergesAny == true ? tokenMerging : nil
    }
}

/// The tokens that a block computes.
struct BlockTokens: Sendable, Hashable {
    /// All tokens, T; attention reads them.
    let all: Int
    /// The number of first tokens that are read after the block, R. Everything but keys and values is computed for them
    /// alone.
    let outputs: Int

    /// Whether fewer tokens are read after the block.
    var poolsTokens: Bool { outputs < all }
}

/// How many rows the linear layers of a block compute for a number of tokens. What is in the rows beyond them is not
/// read.
///
/// In bf16 and int8 the library computes tiles of 16 rows, and takes up to four times as long for 49 to 62 rows beyond
/// a multiple of 64 as for the next multiple of 4.
func linearRows(_ tokens: Int, isNarrow: Bool) -> Int {
    isNarrow && tokens % 64 >= 48 ? (tokens + 3) / 4 * 4 : tokens
}

/// The tokens of a block in a forward pass.
struct BlockShape: Sendable, Hashable {
    /// Those that attention computes.
    let attention: BlockTokens
    /// How many of them are merged into others after attention.
    let merged: Int

    /// Those that the MLP computes, and the next block.
    var mlp: BlockTokens {
        let all = attention.all - merged
        return BlockTokens(all: all, outputs: attention.poolsTokens ? attention.outputs : all)
    }

    /// Multiplications and additions of its matrix products for one image: 2·m·k·n each.
    func operations(_ c: BackboneConfiguration) -> Double {
        let (d, m) = (Double(c.hiddenSize), Double(c.intermediateSize))
        let (t, r) = (Double(attention.all), Double(attention.outputs))
        let attention =
            attention.poolsTokens && !c.anatomy.positions.isRotary
            ? PooledTokenAttentionKernels.operations(c, attention)
            : 2 * (3 * t * d * d + r * d * d + 2 * r * t * d)
        return attention + 2 * Double(mlp.outputs) * (c.isGated ? 3 : 2) * d * m
    }
}

/// The sizes of a forward pass, which all its buffers and kernels follow from.
struct ForwardShape: Sendable {
    let configuration: BackboneConfiguration
    let imageSize: ImageSize
    let precision: ComputePrecision
    /// Patches of one image.
    let patches: Int
    /// The tokens before the first block, T.
    let tokens: Int
    /// The tokens of the blocks that are computed: all that there are, but the last block's outputs.
    let blocks: [BlockShape]
    /// The features that are read: as many elements as the widest head reads, or all.
    let features: FeatureLayout
    /// Logits of all heads together.
    let classes: Int
    /// Whether the pass ends with what streams read of the last block.
    let endsWithContext: Bool

    init(_ c: BackboneConfiguration, heads: [Head], _ settings: InferenceSettings) {
        let grid = c.grid(for: settings.imageSize)
        configuration = c
        (imageSize, precision) = (settings.imageSize, settings.precision)
        patches = grid.height * grid.width
        tokens = patches + c.prefix.count
        endsWithContext = settings.outputs.contains(.streamContext)
        let headWidth = heads.map { $0.weight.shape[1] }.max() ?? c.hiddenSize
        let featureSize = settings.outputs.contains(.features) ? c.featureSize : headWidth
        let pooled = FeatureLayout(c, patches: patches, featureSize: featureSize)
        let computesAll = settings.outputs.contains(.allTokens) || endsWithContext || pooled.readsPatches
        var (blocks, remaining) = ([BlockShape](), tokens)
        for layer in 0..<(endsWithContext ? c.layers - 1 : c.layers) {
            let pools = layer == c.layers - 1 && !computesAll
            let merged = pools ? 0 : settings.tokenMerging?.counts[layer] ?? 0
            blocks.append(
                BlockShape(
                    attention: BlockTokens(all: remaining, outputs: pools ? pooled.tokens : remaining), merged: merged))
            remaining -= merged
        }
        self.blocks = blocks
        features = FeatureLayout(c, patches: remaining - c.prefix.count, featureSize: featureSize)
        classes = heads.reduce(0) { $0 + $1.classes.count }
    }

    /// The tokens that are read after the last block, R.
    var outputs: Int { blocks.last?.mlp.outputs ?? tokens }

    /// The tokens before a block, or after all that are computed.
    func tokens(before layer: Int) -> Int {
        layer < blocks.count ? blocks[layer].attention.all : blocks.last?.mlp.all ?? tokens
    }

    /// How long a part of a block takes, in multiplications; 0 for what is not computed in the same way in eight bits.
    /// Few rows take as long as a tile of them, which is about as long as reading the weights.
    func work(of sublayer: BlockSublayer) -> Double {
        guard sublayer.layer < blocks.count else { return 0 }
        let (block, d) = (blocks[sublayer.layer], configuration.hiddenSize)
        switch sublayer.part {
        case .attention: return Double(block.attention.all * 4 * d * d)
        case .scores: return block.attention.poolsTokens ? 0 : Double(2 * block.attention.all * block.attention.all * d)
        case .mlp:
            let layers = configuration.isGated ? 3 : 2
            return Double(max(block.mlp.outputs, 16) * layers * d * configuration.intermediateSize)
        }
    }

    /// Whether any tokens are merged.
    var mergesTokens: Bool { blocks.contains { $0.merged > 0 } }

    /// How queries and keys are rotated, in families that do that.
    var rotary: Rotary? { configuration.rotary(for: imageSize) }

    /// Whether fewer tokens are read after the last block than it has.
    var poolsTokens: Bool { blocks.last?.attention.poolsTokens ?? false }
}

extension BackboneConfiguration {
    /// How queries and keys of images of a size are rotated, in families that do that.
    func rotary(for image: ImageSize) -> Rotary? {
        guard case .rotary(let base) = anatomy.positions else { return nil }
        let grid = grid(for: image)
        return Rotary(height: grid.height, width: grid.width, headSize: headSize, base: base)
    }
}
