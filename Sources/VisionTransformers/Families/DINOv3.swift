import Compute

extension BackboneFamily {
    /// DINOv3: Siméoni et al., 2025 (arXiv 2508.10104). Queries and keys of patches are rotated; transformers has no
    /// classifier of this type, and a head here reads CLS, or CLS and the mean of the patch tokens.
    static let dinov3 = BackboneFamily(
        name: "dinov3_vit", architecture: "DINOv3ViTModel", classifierArchitecture: nil,
        keys: ConfigurationKeys(
            hiddenSize: 384, heads: 6, mlpWidth: .size(default: 1536), epsilon: 1e-5, hasBiasKey: false
        ) { file, c in
            try readRegisters(missing: 0)(file, &c)
            let base = try file.number("rope_theta", default: 100)
            guard base > 0 else { throw ModelError(file.path, "rope_theta: expected a positive number, found \(base)") }
            c.anatomy.positions = .rotary(base: base)
            c.anatomy.biases = AttentionBiases(
                query: try file.boolean("query_bias", default: true), key: try file.boolean("key_bias", default: false),
                value: try file.boolean("value_bias", default: true))
            for key in ["proj_bias", "mlp_bias"] where try !file.boolean(key, default: true) {
                throw ModelError(file.path, "\(key): expected true, found false, which is not supported")
            }
            c.isGated = try file.boolean("use_gated_mlp", default: false)
            if !c.isGated { c.names.inBlock += [("mlp.up_proj", "mlp.fc1"), ("mlp.down_proj", "mlp.fc2")] }
            guard c.hiddenSize % c.heads == 0, c.headSize % 4 == 0 else {
                throw ModelError(file.path, "rotary positions need heads whose width is a multiple of 4")
            }
        },
        names: ParameterNaming(
            prefix: "", readPrefixes: [], blocks: ("layer.", "model.layer."), inBlock: [],
            outside: [
                ("embeddings.patch_embeddings", ParameterNames.patchProjection), ("norm", "layernorm"),
            ],
            unused: ["embeddings.mask_token"]),
        anatomy: Anatomy(hasLayerScale: true))
}
