extension BackboneFamily {
    /// CLIP: Radford et al., ICML 2021 (arXiv 2103.00020). Tokens are normalized before the first block; classifiers
    /// read the mean of the patch tokens of the last block, which is not normalized.
    static let clip = clip("clip", "CLIP", module: "clip", section: "vision_config")
    /// Its vision model alone.
    static let clipVision = clip("clip_vision_model", "CLIP", module: "clip")
    /// MetaCLIP 2: Chuang et al., 2025 (arXiv 2507.22062).
    static let metaCLIP2 = clip("metaclip_2", "MetaClip2", module: "metaclip_2", section: "vision_config")
    /// Its vision model alone.
    static let metaCLIP2Vision = clip("metaclip_2_vision_model", "MetaClip2", module: "metaclip_2")

    private static func clip(_ name: String, _ classes: String, module: String, section: String? = nil) -> Self {
        BackboneFamily(
            name: name, architecture: "\(classes)VisionModel",
            classifierArchitecture: section == nil ? nil : "\(classes)ForImageClassification", module: module,
            keys: ConfigurationKeys(
                section: section, activation: "quick_gelu", epsilon: 1e-5, patchSize: 32, hasBiasKey: false),
            names: ParameterNaming(
                prefix: "vision_model.", readPrefixes: ["vision_model."],
                blocks: ("encoder.layers.", "encoder.layers."), inBlock: ParameterNaming.contrastiveModules,
                keepsNames: true,
                outside: [
                    ("embeddings.class_embedding", "embeddings.cls_token"),
                    ("embeddings.patch_embedding", ParameterNames.patchProjection),
                    ("embeddings.position_embedding.weight", "embeddings.position_embeddings"),
                    ("pre_layrnorm", ParameterNames.preNorm),
                ],
                unused: ["post_layernorm."], unusedBesideHead: ["post_layernorm."],
                ignored: ["text_model.", "logit_scale", "visual_projection.", "text_projection."],
                hasFlatEmbeddings: true),
            anatomy: Anatomy(
                hasPatchBias: false, hasPreNorm: true, finalNorm: .none, features: FeatureParts(hasTokens: false)))
    }
}
