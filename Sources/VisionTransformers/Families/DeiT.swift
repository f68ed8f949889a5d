extension BackboneFamily {
    /// DeiT with its distillation token: Touvron et al., ICML 2021 (arXiv 2012.12877).
    package static let deit = BackboneFamily(
        name: "deit", architecture: "DeiTModel", classifierArchitecture: "DeiTForImageClassification",
        keys: ConfigurationKeys(), names: .transformers("deit."),
        anatomy: Anatomy(prefix: PrefixTokens(hasDistillation: true)))
}
