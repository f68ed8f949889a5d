extension BackboneFamily {
    /// BEiT and DiT: Bao et al., ICLR 2022 (arXiv 2106.08254), Li et al., 2022 (arXiv 2203.02378).
    static let beit = beit("beit", "Beit", prefix: "beit.", module: "beit")
    /// data2vec for images: Baevski et al., ICML 2022 (arXiv 2202.03555).
    static let data2vec = beit(
        "data2vec-vision", "Data2VecVision", prefix: "data2vec_vision.", module: "data2vec",
        keepsNames: true)

    /// A family with a bias by relative position on the scores, or a table of positions; keys have no biases.
    /// Classifiers read the normalized mean of the patch tokens, or CLS.
    private static func beit(
        _ name: String, _ classes: String, prefix: String, module: String, keepsNames: Bool = false
    ) -> BackboneFamily {
        var names = ParameterNaming.transformers(
            prefix, newBlocks: keepsNames ? "encoder.layer." : "layers.",
            inBlock: ParameterNaming.vitModules + [
                ("lambda_1", "layer_scale1.lambda1"), ("lambda_2", "layer_scale2.lambda1"),
                ("attention.attention.relative_position_bias.relative_position_bias_table", ParameterNames.scoreBias),
            ],
            outside: [("pooler.layernorm", "layernorm")])
        names.keepsNames = keepsNames
        return BackboneFamily(
            name: name, architecture: "\(classes)Model", classifierArchitecture: "\(classes)ForImageClassification",
            module: module,
            keys: ConfigurationKeys(hasBiasKey: false) { file, c in
                let hasTable = try file.boolean("use_absolute_position_embeddings", default: false)
                c.anatomy.positions = hasTable ? .table(resampling: nil, coversPrefix: true) : .none
                c.anatomy.hasScoreBias = try file.boolean("use_relative_position_bias", default: false)
                if try file.boolean("use_shared_relative_position_bias", default: false) {
                    throw ModelError(
                        file.path,
                        "use_shared_relative_position_bias: expected false, found true; a bias that all "
                            + "blocks share is not supported")
                }
                let scale = try file.number("layer_scale_init_value", default: 0.1)
                c.anatomy.hasLayerScale = scale > 0
                guard try file.boolean("use_mean_pooling", default: true) else { return }
                (c.anatomy.finalNorm, c.anatomy.features.hasTokens) = (.features, false)
            },
            names: names, anatomy: Anatomy(biases: AttentionBiases(key: false)))
    }
}
