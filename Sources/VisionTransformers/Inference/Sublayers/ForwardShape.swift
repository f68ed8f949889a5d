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

    /// Settings; logits in f32 unless specified.
    package init(
        imageSize: ImageSize, outputs: ModelOutputs = [], precision: ComputePrecision = .f32
    ) {
        (self.imageSize, self.outputs, self.precision) = (imageSize, outputs, precision)
    }
}

/// The tokens that a block computes.
struct BlockTokens: Sendable, Hashable {
    /// All tokens, T; attention reads them.
    let all: Int
    /// The number of first tokens that are read after the block, R. Everything but keys and values is computed for them
    /// alone.
    let outputs: Int
}

/// The sizes of a forward pass, which all its buffers and kernels follow from.
struct ForwardShape: Sendable {
    let configuration: BackboneConfiguration
    let imageSize: ImageSize
    let precision: ComputePrecision
    /// Patches of one image.
    let patches: Int
    /// The tokens of the last block; the others compute all.
    let tokens: BlockTokens
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
        let headWidth = heads.map { $0.weight.shape[1] }.max() ?? c.hiddenSize
        features = FeatureLayout(
            c, patches: patches, featureSize: settings.outputs.contains(.features) ? c.featureSize : headWidth)
        let all = patches + c.prefix.count
        endsWithContext = settings.outputs.contains(.streamContext)
        let computesAll = settings.outputs.contains(.allTokens) || endsWithContext
        tokens = BlockTokens(all: all, outputs: computesAll ? all : features.tokens)
        classes = heads.reduce(0) { $0 + $1.classes.count }
    }

    /// The blocks that are computed.
    var layers: Int { endsWithContext ? configuration.layers - 1 : configuration.layers }

    /// How queries and keys are rotated, in families that do that.
    var rotary: Rotary? { configuration.rotary(for: imageSize) }

    /// Whether the last block computes fewer tokens than the others.
    var poolsTokens: Bool { tokens.outputs < tokens.all }
}

extension BackboneConfiguration {
    /// How queries and keys of images of a size are rotated, in families that do that.
    func rotary(for image: ImageSize) -> Rotary? {
        guard case .rotary(let base) = anatomy.positions else { return nil }
        let grid = grid(for: image)
        return Rotary(height: grid.height, width: grid.width, headSize: headSize, base: base)
    }
}
