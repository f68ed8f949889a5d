import Tensors

/// How features, the vector that heads read, are gathered from tokens (see `FeatureParts`); or only the first of their
/// parts, if heads read no more.
struct FeatureLayout: Sendable {
    /// The width of a token, D.
    let width: Int
    /// Prefix tokens, and those of them that are parts of the features: the first ones.
    private let prefix, parts: Int
    private let patches: Int
    /// The number of elements that are read.
    let featureSize: Int

    /// The first `featureSize` features of a backbone.
    init(_ c: BackboneConfiguration, patches: Int, featureSize: Int) {
        (width, prefix, self.patches, self.featureSize) = (c.hiddenSize, c.prefix.count, patches, featureSize)
        parts = c.anatomy.features.hasTokens ? c.prefix.read : 0
    }

    /// The number of elements from prefix tokens.
    private var prefixSize: Int { min(featureSize, parts * width) }

    /// Whether the mean over the patches is read.
    var readsPatches: Bool { featureSize > prefixSize }

    /// The number of first tokens that the features depend on.
    var tokens: Int { readsPatches ? prefix + patches : (featureSize + width - 1) / width }

    /// Gathers the features of tokens, (tokens, D).
    ///
    /// - Parameter sizes: how often each token counts in the mean; once unless specified.
    func gather(_ tokens: FloatBuffer, sizes: FloatBuffer? = nil, into features: FloatBuffer) {
        features.base.update(from: tokens.base, count: prefixSize)
        guard readsPatches else { return }
        let mean = features.base + prefixSize
        mean.update(repeating: 0, count: width)
        var count = Float(patches)
        if let sizes {
            count = 0
            for token in prefix..<prefix + patches {
                let (row, size) = (tokens.base + token * width, sizes.base[token])
                for channel in 0..<width { mean[channel] += size * row[channel] }
                count += size
            }
        } else {
            for token in prefix..<prefix + patches {
                let row = tokens.base + token * width
                for channel in 0..<width { mean[channel] += row[channel] }
            }
        }
        for channel in 0..<width { mean[channel] /= count }
    }

    /// The gradient by tokens, (`tokens`, D), from that by the features.
    func scatter(_ gradient: FloatBuffer, into tokenGradient: FloatBuffer) {
        tokenGradient.base.update(from: gradient.base, count: prefixSize)
        guard readsPatches else { return }
        (tokenGradient.base + prefixSize).update(repeating: 0, count: prefix * width - prefixSize)
        let mean = gradient.base + prefixSize
        let count = Float(patches)
        for token in prefix..<prefix + patches {
            let row = tokenGradient.base + token * width
            for channel in 0..<width { row[channel] = mean[channel] / count }
        }
    }
}
