extension BackboneFamily {
    /// SigLIP and SigLIP 2 for a fixed size: Zhai et al., ICCV 2023 (arXiv 2303.15343), Tschannen et al., 2025 (arXiv
    /// 2502.14786). No CLS: heads read the mean of all tokens. The pooling head of the file is not used by classifiers.
    static let siglip = BackboneFamily(
        name: "siglip", architecture: "SiglipVisionModel", classifierArchitecture: "SiglipForImageClassification",
        keys: siglipKeys("vision_config"), names: .siglip, anatomy: siglipAnatomy)

    /// The same without the text model.
    static let siglipVision = BackboneFamily(
        name: "siglip_vision_model", architecture: "SiglipVisionModel", classifierArchitecture: nil, module: "siglip",
        keys: siglipKeys(nil), names: .siglip, anatomy: siglipAnatomy)

    private static func siglipKeys(_ section: String?) -> ConfigurationKeys {
        ConfigurationKeys(section: section, activation: "gelu_pytorch_tanh", epsilon: 1e-6, hasBiasKey: false)
    }

    private static let siglipAnatomy = Anatomy(
        prefix: PrefixTokens(hasCLS: false), features: FeatureParts(hasTokens: false))
}

extension ParameterNaming {
    /// The names of SigLIP, the same in transformers 4 and 5.
    static let siglip = ParameterNaming(
        prefix: "vision_model.", readPrefixes: ["vision_model."], blocks: ("encoder.layers.", "encoder.layers."),
        inBlock: contrastiveModules, keepsNames: true,
        outside: [
            ("embeddings.patch_embedding", ParameterNames.patchProjection),
            ("embeddings.position_embedding.weight", "embeddings.position_embeddings"),
            ("post_layernorm", "layernorm"),
        ], ignored: ["head.", "text_model.", "logit_scale", "logit_bias"],
        hasFlatEmbeddings: true)

    /// The names within a block of SigLIP and CLIP.
    static let contrastiveModules: [Name] = [
        ("self_attn.q_proj", "attention.q_proj"), ("self_attn.k_proj", "attention.k_proj"),
        ("self_attn.v_proj", "attention.v_proj"), ("self_attn.out_proj", "attention.o_proj"),
        ("layer_norm1", "norm1"), ("layer_norm2", "norm2"),
    ]
}
