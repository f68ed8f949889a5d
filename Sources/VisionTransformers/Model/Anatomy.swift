/// What a Vision Transformer is made of besides its extents: the parts in which families differ.
package struct Anatomy: Sendable, Equatable {
    /// The tokens before those of patches.
    package var prefix = PrefixTokens()
    /// How a token knows where its patch is.
    package var positions = Positions.table(resampling: nil, coversPrefix: true)
    /// Whether the patch embedding has a bias.
    var hasPatchBias = true
    /// Whether tokens are normalized before the first block.
    var hasPreNorm = false
    /// Which of the attention's input layers have biases.
    var biases = AttentionBiases()
    /// Whether a bias by relative position is added to the scores of attention.
    var hasScoreBias = false
    /// Whether the outputs of attention and MLP are multiplied by factors per channel (Touvron et al., ICCV 2021, arXiv
    /// 2103.17239).
    var hasLayerScale = false
    /// Where the last layer normalization is.
    package var finalNorm = FinalNorm.tokens
    /// What heads read.
    package var features = FeatureParts()
}

/// The tokens before those of patches, in their order.
package struct PrefixTokens: Sendable, Equatable {
    /// The token that classifiers read, as a rule.
    package var hasCLS = true
    /// DeiT's second token, which a second classifier reads.
    package var hasDistillation = false
    /// Tokens that are learned and read by no head (Darcet et al., ICLR 2024, arXiv 2309.16588).
    package var registers = 0

    /// How many there are.
    package var count: Int { read + registers }
    /// How many a head may read.
    var read: Int { (hasCLS ? 1 : 0) + (hasDistillation ? 1 : 0) }
}

/// How a token knows where its patch is.
package enum Positions: Sendable, Equatable {
    /// How a table is brought to another grid of patches.
    package enum Resampling: Sendable, Equatable {
        /// PyTorch's bicubic interpolation, without antialiasing.
        case bicubic
        /// The same with antialiasing.
        case antialiasedBicubic
    }

    /// A learned table that is added to the tokens: for the prefix tokens but registers, if it covers them, and for
    /// patches. Without resampling images of another size are rejected.
    case table(resampling: Resampling?, coversPrefix: Bool)
    /// Queries and keys of patches are rotated by their coordinates (Su et al., 2021, arXiv 2104.09864).
    case rotary(base: Double)
    /// None but what is added to scores.
    case none

    /// Whether queries and keys are rotated.
    var isRotary: Bool { if case .rotary = self { true } else { false } }

    /// Whether images of another size than the configuration's can be computed.
    var isFlexible: Bool {
        switch self {
        case .table(let resampling, _): resampling != nil
        case .rotary: true
        case .none: false
        }
    }
}

/// Which of the attention's input layers have biases.
package struct AttentionBiases: Sendable, Equatable {
    var query = true
    var key = true
    var value = true

    /// In the order of the joined layer.
    var inOrder: [Bool] { [query, key, value] }
}

/// Where the last layer normalization is.
package enum FinalNorm: Sendable, Equatable {
    /// After the last block, of every token.
    case tokens
    /// After tokens are pooled, of the features.
    case features
    /// There is none.
    case none
}

/// The features, the vector that heads read: parts of the width of a token. First the prefix tokens that heads may
/// read, in their order, then the mean of the patch tokens. A head reads as many of the first parts as its weight is
/// wide; one that was aligned with a merged backbone may read all.
package struct FeatureParts: Sendable, Equatable {
    /// Whether prefix tokens are among them; without them the mean of the patch tokens is all.
    package var hasTokens = true
    /// The number of first parts that `classifier` in transformers reads.
    package var classifier = 1
}
