extension BackboneFamily {
    /// ViT: Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929).
    package static let vit = BackboneFamily(
        name: "vit", architecture: "ViTModel", classifierArchitecture: "ViTForImageClassification",
        keys: ConfigurationKeys(), names: .transformers("vit."))
}

extension ParameterNaming {
    /// The names of ViT and of the families that were made after it.
    static func transformers(
        _ prefix: String, newBlocks: String = "layers.", inBlock: [(old: String, new: String)] = vitModules,
        fused: [(name: String, branches: [String])] = [], unusedBesideHead: [String] = []
    ) -> ParameterNaming {
        ParameterNaming(
            prefix: prefix, readPrefixes: ["vit.", "deit.", "dinov2."], blocks: ("encoder.layer.", newBlocks),
            inBlock: inBlock, fused: fused, unused: ["embeddings.mask_token", "pooler.dense."],
            unusedBesideHead: unusedBesideHead)
    }

    /// ViT's names in attention.
    static let vitAttention = [
        (old: "attention.attention.query", new: "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
    ]

    /// ViT's names within a block.
    static let vitModules = vitAttention + [
        (old: "intermediate.dense", new: "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
    ]
}
