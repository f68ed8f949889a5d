import Tensors
import Testing

@testable import VisionTransformers

@Suite struct ParameterNamesTests {
    @Test(arguments: [
        ("vit.embeddings.cls_token", "embeddings.cls_token"),
        ("deit.embeddings.distillation_token", "embeddings.distillation_token"),
        ("vit.encoder.layer.0.attention.attention.query.weight", "layers.0.attention.q_proj.weight"),
        ("deit.encoder.layer.11.attention.attention.key.bias", "layers.11.attention.k_proj.bias"),
        ("dinov2.encoder.layer.3.attention.attention.value", "layers.3.attention.v_proj"),
        ("encoder.layer.3.attention.output.dense.weight", "layers.3.attention.o_proj.weight"),
        ("vit.encoder.layer.3.intermediate.dense.bias", "layers.3.mlp.fc1.bias"),
        ("vit.encoder.layer.3.output.dense.bias", "layers.3.mlp.fc2.bias"),
        ("vit.encoder.layer.3.layernorm_before.weight", "layers.3.norm1.weight"),
        ("vit.layers.3.layernorm_after.weight", "layers.3.norm2.weight"),
        ("vit.layers.3.attention.q_proj.weight", "layers.3.attention.q_proj.weight"),
        ("dinov2.encoder.layer.3.norm1.weight", "layers.3.norm1.weight"),
        ("dinov2.encoder.layer.3.mlp.weights_in.weight", "layers.3.mlp.weights_in.weight"),
        ("dinov2.encoder.layer.3.mlp.weights_out.weight", "layers.3.mlp.down_proj.weight"),
        ("dinov2.encoder.layer.3.layer_scale1.lambda1", "layers.3.layer_scale1.lambda1"),
        ("vit.layernorm.weight", "layernorm.weight"), ("classifier.weight", "classifier.weight"),
        // What only looks like a name of ours is left as it is, to be refused by its own name.
        ("vit.encoder.layer.x.output.dense.bias", "encoder.layer.x.output.dense.bias"),
        ("vit.encoder.layer.3", "encoder.layer.3"), ("encoder.layers.3.norm1.weight", "encoder.layers.3.norm1.weight"),
        ("vitality.layernorm.weight", "vitality.layernorm.weight"), ("", ""),
    ])
    func everySchemeComesToOne(_ name: String, _ canonical: String) {
        let family = BackboneFamily.all.first { name.hasPrefix("\($0.name).") } ?? .vit
        #expect(family.names.canonical(name) == canonical)
    }

    @Test(arguments: ["vit", "deit_distilled", "dinov2", "dinov2_swiglu"])
    func canonicalNamesStayAndAreReachedFromEverySpelling(_ name: String) throws {
        let checkpoint = try Checkpoint(folder: caseFolder(name))
        let (configuration, names) = (checkpoint.configuration, checkpoint.names)
        for (parameter, _) in configuration.parameterShapes {
            #expect(names.canonical(parameter) == parameter)
            guard parameter.hasSuffix(".weight") else { continue }
            let module = String(parameter.dropLast(".weight".count))
            let spellings = names.spellings(of: module)
            #expect(spellings.contains(module))
            for spelling in spellings {
                let back = names.canonical(spelling)
                #expect((names.branches(of: back) ?? [back]).contains(module), "\(spelling)")
            }
        }
        // And the names in the file are among the spellings.
        for stored in checkpoint.storedTensors where stored.entry.name.hasSuffix(".weight") {
            let module = String(stored.entry.name.dropLast(".weight".count))
            for parameter in stored.parameters where !ParameterNames.isHead(parameter) {
                let spellings = names.spellings(of: String(parameter.dropLast(".weight".count)))
                #expect(spellings.contains(module), "\(module)")
            }
        }
    }

    @Test func partsOfNamesAreRead() {
        let names = BackboneFamily.dinov2.names
        #expect(ParameterNames.layer(of: "layers.11.norm1.weight") == 11)
        #expect(ParameterNames.layer(of: "layernorm.weight") == nil)
        #expect(ParameterNames.layer(of: "layers.x.norm1") == nil)
        #expect(
            names.branches(of: "layers.1.mlp.weights_in.bias")
                == ["layers.1.mlp.gate_proj.bias", "layers.1.mlp.up_proj.bias"])
        #expect(names.branches(of: "layers.1.mlp.fc1.bias") == nil)
        #expect(ParameterNames.isHead("classifier.weight") && ParameterNames.isHead("distillation_classifier.bias"))
        #expect(!ParameterNames.isHead("layernorm.weight"))
        #expect(names.isUnused("pooler.dense.weight") && !names.isUnused("embeddings.cls_token"))
    }
}
