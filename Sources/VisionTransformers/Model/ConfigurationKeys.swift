import Compute
import Files
import Images

/// The keys of a family's `config.json`, and what transformers takes for those that are missing.
struct ConfigurationKeys: Sendable {
    /// How the width of the MLP is given.
    enum MLPWidth: Sendable {
        /// By `intermediate_size`.
        case size(default: Int)
        /// As a multiple of the width by `mlp_ratio`; with `use_swiglu_ffn` two thirds of that, in steps of 8.
        case ratio
    }

    /// The key under which the vision model's are, if they are not at the top.
    var section: String?
    var hiddenSize = 768
    var heads = 12
    var mlpWidth = MLPWidth.size(default: 3072)
    var activation = "gelu"
    var epsilon = 1e-12
    var patchSize = 16
    /// Whether `qkv_bias` says if queries, keys and values have biases.
    var hasBiasKey = true
    /// What the keys of this family alone say about its models.
    var others: (@Sendable (_ file: ConfigurationFile, _ c: inout BackboneConfiguration) throws -> Void)?
    /// Reads everything in another way.
    var whole: (@Sendable (_ file: ConfigurationFile) throws -> BackboneConfiguration)?
}

extension BackboneConfiguration {
    /// Reads the shape of a family's model.
    ///
    /// - Throws: `ModelError` naming the key, what was expected and what was found.
    init(_ family: BackboneFamily, _ whole: ConfigurationFile) throws {
        let keys = family.keys
        if let read = keys.whole {
            self = try read(whole)
            try check(whole.path)
            return
        }
        let file = try keys.section.map { try whole.section($0) } ?? whole
        let path = file.path
        let hidden = try file.integer("hidden_size", default: keys.hiddenSize)
        let channels = try file.integer("num_channels", default: 3)
        guard channels == Self.channels else { throw ModelError(path, "num_channels: expected 3, found \(channels)") }
        var activation = try file.activation("hidden_act", default: keys.activation)
        var (intermediate, isGated) = (0, false)
        switch keys.mlpWidth {
        case .size(let missing): intermediate = try file.integer("intermediate_size", default: missing)
        case .ratio:
            isGated = try file.boolean("use_swiglu_ffn", default: false)
            let ratio = try file.number("mlp_ratio", default: 4)
            guard ratio > 0, ratio < 1000 else {
                throw ModelError(path, "mlp_ratio: expected 0 to 1000, found \(ratio)")
            }
            intermediate = Int(Double(hidden) * ratio)
            if isGated {
                intermediate = (Int(Double(intermediate) * 2 / 3) + 7) / 8 * 8
                activation = .swish(alpha: 1)
            }
        }
        self.init(
            family: family, hiddenSize: hidden, layers: try file.integer("num_hidden_layers", default: 12, limit: 1000),
            heads: try file.integer("num_attention_heads", default: keys.heads), intermediateSize: intermediate,
            activation: activation, isGated: isGated,
            layerNormEpsilon: try file.epsilon("layer_norm_eps", default: keys.epsilon),
            imageSize: try file.extent("image_size", default: 224),
            patchSize: try file.extent("patch_size", default: keys.patchSize), anatomy: family.anatomy,
            names: family.names)
        if keys.hasBiasKey, try !file.boolean("qkv_bias", default: true) {
            anatomy.biases = AttentionBiases(query: false, key: false, value: false)
        }
        try keys.others?(file, &self)
        try check(path)
    }

    /// Checks that extents fit each other.
    private func check(_ path: String) throws {
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
