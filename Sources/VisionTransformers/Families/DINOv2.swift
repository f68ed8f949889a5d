extension BackboneFamily {
    /// DINOv2: Oquab et al., 2023 (arXiv 2304.07193). Its classifier reads CLS and the mean of the patch tokens.
    package static let dinov2 = BackboneFamily(
        name: "dinov2", architecture: "Dinov2Model", classifierArchitecture: "Dinov2ForImageClassification",
        keys: ConfigurationKeys(mlpWidth: .ratio, epsilon: 1e-6, patchSize: 14), names: .dinov2("dinov2."),
        anatomy: Anatomy(
            positions: .table(resampling: .bicubic, coversPrefix: true), hasLayerScale: true,
            features: FeatureParts(classifier: 2)))

    /// DINOv2 with registers after CLS: Darcet et al., ICLR 2024 (arXiv 2309.16588).
    static let dinov2Registers = BackboneFamily(
        name: "dinov2_with_registers", architecture: "Dinov2WithRegistersModel",
        classifierArchitecture: "Dinov2WithRegistersForImageClassification",
        keys: ConfigurationKeys(mlpWidth: .ratio, epsilon: 1e-6, others: readRegisters(missing: 4)),
        names: .dinov2("dinov2_with_registers."),
        anatomy: Anatomy(
            positions: .table(resampling: .antialiasedBicubic, coversPrefix: true), hasLayerScale: true,
            features: FeatureParts(classifier: 2)))

    /// Reads the number of registers.
    static func readRegisters(
        missing: Int
    ) -> @Sendable (ConfigurationFile, inout BackboneConfiguration) throws -> Void {
        { file, c in
            c.anatomy.prefix.registers = try file.integer(
                "num_register_tokens", default: missing, least: 0, limit: 1024)
        }
    }
}

extension ParameterNaming {
    /// The names of DINOv2: transformers 5 has kept its encoder, and its MLP has had the new names from the start.
    static func dinov2(_ prefix: String) -> ParameterNaming {
        .transformers(
            prefix, newBlocks: "encoder.layer.", inBlock: vitAttention + [("mlp.weights_out", "mlp.down_proj")],
            fused: [("mlp.weights_in", ["mlp.gate_proj", "mlp.up_proj"])], unusedBesideHead: ["embeddings.mask_token"])
    }
}
