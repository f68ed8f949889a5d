import Images
import Tensors
import TestSupport
import Testing

@testable import Adapters
@testable import VisionTransformers

/// PEFT adapters over each family, against what PEFT makes of them.
@Suite struct FamilyAdapterTests {
    private static let cases = "\(Samples.folder)/../Tests/VisionTransformersTests/Cases"

    @Test(arguments: [
        "dinov2_registers", "dinov2_registers_gated", "siglip", "clip", "metaclip_2", "vit_msn", "ijepa", "beit",
        "beit_cls", "dit", "data2vec", "timm_augreg", "timm_deit_distilled", "timm_deit3", "timm_clip",
        "timm_siglip_gap", "timm_dinov2", "timm_dinov2_registers", "timm_dinov3", "timm_eva_large",
        "timm_registers_gap",
    ])
    func logitsAreThoseOfPEFT(_ name: String) throws {
        let base = try Checkpoint(folder: "\(Self.cases)/\(name)")
        let adapter = try Adapter(task: "t", path: "\(Self.cases)/\(name)/adapter", base: base)
        let merged = try MergedBackbone(adapter, aloneOver: base)
        let c = base.configuration
        let model = try MultitaskModel(
            merged, configuration: c, heads: [adapter.head], imageSize: ImageSize(height: 32, width: 32), threads: 2)
        let io = try SafetensorsFile(path: "\(Self.cases)/\(name)/io.safetensors")
        let pixels = try io.tensor("pixel_values")
        let inputs = pixels.patches(height: c.patchSize.height, width: c.patchSize.width)
        var logits = [Float](repeating: 0, count: 3 * model.classCount)
        try model.run(inputs, images: 3, logits: &logits)
        let wanted = try io.tensor("adapter.logits").values
        #expect(logits.count == wanted.count && zip(logits, wanted).allSatisfy { abs($0 - $1) < 2e-5 })
    }

    /// What is written has the names that the library gives its modules, and is read again.
    @Test(arguments: [
        ("siglip", "vision_model.encoder.layers.0.self_attn.q_proj", ModuleNames.transformers5),
        ("clip", "vision_model.encoder.layers.0.self_attn.q_proj", .transformers4),
        ("dinov2_registers", "dinov2_with_registers.encoder.layer.0.attention.q_proj", .transformers5),
        ("dinov2_registers", "dinov2_with_registers.encoder.layer.0.attention.attention.query", .transformers4),
        ("beit", "beit.layers.0.attention.q_proj", .transformers5),
        ("beit", "beit.encoder.layer.0.attention.attention.query", .transformers4),
        ("data2vec", "data2vec_vision.encoder.layer.0.attention.attention.query", .transformers5),
        ("ijepa", "ijepa.layers.0.attention.q_proj", .transformers5),
        ("vit_msn", "vit.layers.0.attention.q_proj", .transformers5),
        ("dinov3", "model.layer.0.attention.q_proj", .transformers5),
        ("dinov3", "layer.0.attention.q_proj", .transformers4),
    ])
    func modulesAreWrittenUnderTheirNames(_ name: String, _ path: String, _ version: ModuleNames) throws {
        let base = try Checkpoint(folder: "\(Self.cases)/\(name)")
        #expect(version.path(of: "layers.0.attention.q_proj", in: base) == path)
        #expect(base.names.canonical(path) == "layers.0.attention.q_proj")
    }
}
