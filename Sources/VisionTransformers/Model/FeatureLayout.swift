import Tensors

/// How features, the vector that heads read, are gathered from tokens: the prefix tokens in their order, then the mean
/// over the patches; or only the first of these parts, if heads read no more.
struct FeatureLayout: Sendable {
    /// The width of a token, D.
    let width: Int
    let prefixTokens: Int
    let patches: Int
    /// The number of elements that are read.
    let featureSize: Int

    /// The number of elements from prefix tokens.
    private var prefixSize: Int { min(featureSize, prefixTokens * width) }

    /// Whether the mean over the patches is read.
    var readsPatches: Bool { featureSize > prefixSize }

    /// The number of first tokens that the features depend on.
    var tokens: Int { readsPatches ? prefixTokens + patches : (featureSize + width - 1) / width }

    /// Gathers the features of normalized tokens, (tokens, D).
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

    /// The gradient by normalized tokens, (`tokens`, D), from that by the features.
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
