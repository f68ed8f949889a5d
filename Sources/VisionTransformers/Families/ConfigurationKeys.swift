import Compute
import Images

/// The keys of a family's `config.json`, and what transformers takes for those that are missing.
struct ConfigurationKeys: Sendable {
    /// How the width of the MLP is given.
    enum MLPWidth: Sendable {
        /// By `intermediate_size`.
        case size
        /// As a multiple of the width by `mlp_ratio`; with `use_swiglu_ffn` two thirds of that, in steps of 8.
        case ratio
    }

    var mlpWidth = MLPWidth.size
    var epsilon = 1e-12
    var patchSize = 16
}

extension BackboneConfiguration {
    /// Reads the shape of a family's model.
    ///
    /// - Throws: `ModelError` naming the key, what was expected and what was found.
    init(_ family: BackboneFamily, _ file: ConfigurationFile) throws {
        let (keys, path) = (family.keys, file.path)
        let hidden = try file.integer("hidden_size", default: 768)
        let channels = try file.integer("num_channels", default: 3)
        guard channels == Self.channels else { throw ModelError(path, "num_channels: expected 3, found \(channels)") }
        var (intermediate, isGated) = (0, false)
        switch keys.mlpWidth {
        case .size: intermediate = try file.integer("intermediate_size", default: 3072)
        case .ratio:
            isGated = try file.boolean("use_swiglu_ffn", default: false)
            let ratio = try file.number("mlp_ratio", default: 4)
            guard ratio > 0, ratio < 1000 else {
                throw ModelError(path, "mlp_ratio: expected 0 to 1000, found \(ratio)")
            }
            intermediate = Int(Double(hidden) * ratio)
            if isGated { intermediate = (Int(Double(intermediate) * 2 / 3) + 7) / 8 * 8 }
        }
        self.init(
            family: family, hiddenSize: hidden, layers: try file.integer("num_hidden_layers", default: 12, limit: 1000),
            heads: try file.integer("num_attention_heads", default: 12), intermediateSize: intermediate,
            activation: try file.activation("hidden_act"), usesSwiGLU: isGated,
            layerNormEpsilon: try file.epsilon("layer_norm_eps", default: keys.epsilon),
            imageSize: try file.extent("image_size", default: 224),
            patchSize: try file.extent("patch_size", default: keys.patchSize),
            hasQKVBias: try file.boolean("qkv_bias", default: true), prefix: family.prefix)
        guard hiddenSize % heads == 0 else {
            throw ModelError(path, "hidden_size \(hiddenSize) is not a multiple of num_attention_heads \(heads)")
        }
        guard intermediateSize > 0 else { throw ModelError(path, "the MLP has no width") }
        let grid = grid(for: imageSize)
        guard grid.height > 0, grid.width > 0 else {
            throw ModelError(path, "image_size \(imageSize) is smaller than patch_size \(patchSize)")
        }
    }
}
