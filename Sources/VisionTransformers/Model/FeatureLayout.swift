import Tensors

/// Where the vector that heads read comes from: the prefix tokens in their order, then the mean over the patches; or as many
/// of the first of these parts as are read.
struct FeatureLayout: Sendable {
    /// The width of a token, D.
    let width: Int
    let prefixTokens: Int
    let patches: Int
    /// Elements of the features that are read.
    let featureSize: Int

    /// Elements that are the prefix tokens'.
    private var prefixSize: Int { min(featureSize, prefixTokens * width) }

    /// Whether the mean over the patches is read.
    var readsPatches: Bool { featureSize > prefixSize }

    /// The tokens that have to be known: the first so many.
    var tokens: Int { readsPatches ? prefixTokens + patches : (featureSize + width - 1) / width }

    /// The features of normalized tokens, (tokens, D).
    func gather(_ normalized: FloatBuffer, into features: FloatBuffer) {
        features.base.update(from: normalized.base, count: prefixSize)
        guard readsPatches else { return }
        let mean = features.base + prefixSize
        mean.update(repeating: 0, count: width)
        for token in prefixTokens..<prefixTokens + patches {
            let row = normalized.base + token * width
            for channel in 0..<width { mean[channel] += row[channel] }
        }
        let count = Float(patches)
        for channel in 0..<width { mean[channel] /= count }
    }

    /// The gradient of normalized tokens, (`tokens`, D), from that of the features.
    func scatter(_ gradient: FloatBuffer, into tokenGradient: FloatBuffer) {
        tokenGradient.base.update(from: gradient.base, count: prefixSize)
        guard readsPatches else { return }
        let mean = gradient.base + prefixSize
        let count = Float(patches)
        for token in prefixTokens..<prefixTokens + patches {
            let row = tokenGradient.base + token * width
            for channel in 0..<width { row[channel] = mean[channel] / count }
        }
    }
}
