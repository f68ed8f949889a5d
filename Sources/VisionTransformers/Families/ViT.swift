extension BackboneFamily {
    /// ViT: Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929).
    package static let vit = BackboneFamily(
        name: "vit", architecture: "ViTModel", classifierArchitecture: "ViTForImageClassification",
        keys: ConfigurationKeys(), names: .transformers("vit."))

    /// The encoder of a masked autoencoder, which is a ViT: He et al., CVPR 2022 (arXiv 2111.06377). transformers has
    /// no classifier of this type.
    static let vitMAE = BackboneFamily(
        name: "vit_mae", architecture: "ViTMAEModel", classifierArchitecture: nil, keys: ConfigurationKeys(),
        names: .transformers("vit.", ignored: ["decoder."]))

    /// A ViT trained by masked siamese networks: Assran et al., ECCV 2022 (arXiv 2204.07141).
    static let vitMSN = BackboneFamily(
        name: "vit_msn", architecture: "ViTMSNModel", classifierArchitecture: "ViTMSNForImageClassification",
        keys: ConfigurationKeys(epsilon: 1e-6), names: .transformers("vit."))

    /// A ViT without CLS: Assran et al., CVPR 2023 (arXiv 2301.08243).
    static let ijepa = BackboneFamily(
        name: "ijepa", architecture: "IJepaModel", classifierArchitecture: "IJepaForImageClassification",
        keys: ConfigurationKeys(), names: .transformers("ijepa."),
        anatomy: Anatomy(
            prefix: PrefixTokens(hasCLS: false), features: FeatureParts(hasTokens: false)))
}

extension ParameterNaming {
    /// The names of ViT and of the families that were made after it.
    static func transformers(
        _ prefix: String, newBlocks: String = "layers.", inBlock: [Name] = vitModules, outside: [Name] = [],
        fused: [(name: String, branches: [String])] = [], unusedBesideHead: [String] = [], ignored: [String] = []
    ) -> ParameterNaming {
        ParameterNaming(
            prefix: prefix, readPrefixes: [prefix] + ["vit.", "deit.", "dinov2."].filter { $0 != prefix },
            blocks: ("encoder.layer.", newBlocks), inBlock: inBlock, outside: outside, fused: fused,
            unused: ["embeddings.mask_token", "pooler.dense"], unusedBesideHead: unusedBesideHead, ignored: ignored)
    }

    /// ViT's names in attention.
    static let vitAttention: [Name] = [
        ("attention.attention.query", "attention.q_proj"), ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"), ("attention.output.dense", "attention.o_proj"),
    ]

    /// ViT's names within a block.
    static let vitModules: [Name] =
        vitAttention + [
            ("intermediate.dense", "mlp.fc1"), ("output.dense", "mlp.fc2"), ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
        ]
}
