extension BackboneFamily {
    /// DINOv2: Oquab et al., 2023 (arXiv 2304.07193). Its classifier reads CLS and the mean of the patch tokens.
    ///
    /// transformers 5 has kept its encoder, and its MLP has had the new names from the start.
    package static let dinov2 = BackboneFamily(
        name: "dinov2", architecture: "Dinov2Model", classifierArchitecture: "Dinov2ForImageClassification",
        keys: ConfigurationKeys(mlpWidth: .ratio, epsilon: 1e-6, patchSize: 14),
        names: .transformers(
            "dinov2.", newBlocks: "encoder.layer.",
            inBlock: ParameterNaming.vitAttention + [(old: "mlp.weights_out", new: "mlp.down_proj")],
            fused: [("mlp.weights_in", ["mlp.gate_proj", "mlp.up_proj"])], unusedBesideHead: ["embeddings.mask_token"]),
        features: FeatureParts(classifier: 2), interpolatesPositions: true, hasLayerScale: true)
}
