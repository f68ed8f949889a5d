import Files
import Tensors
import VisionTransformers

/// The table of `make bench` about families: a model of ViT-B/16's extents of each, for one image on one thread, and
/// its share of the processor's limit over that of ViT.
enum FamilyTable {
    private static let vision = "\"vision_config\": {\"patch_size\": 16, \"hidden_act\": \"gelu\"}"
    private static let gated = "\"use_gated_mlp\": true, \"hidden_act\": \"silu\", \"intermediate_size\": 2048"
    private static let base = "\"hidden_size\": 768, \"num_attention_heads\": 12"
    private static let models = [
        ("ViT: heads read CLS", RandomBackbone.base16),
        ("ViT-MSN: CLS", "{\"model_type\": \"vit_msn\"}"),
        ("DINOv2: CLS and mean", "{\"model_type\": \"dinov2\", \"patch_size\": 16}"),
        ("DINOv2, 4 registers", "{\"model_type\": \"dinov2_with_registers\"}"),
        ("SigLIP: mean", "{\"model_type\": \"siglip\", \(vision)}"),
        ("CLIP: mean", "{\"model_type\": \"clip\", \(vision)}"),
        ("I-JEPA: mean", "{\"model_type\": \"ijepa\"}"),
        ("DINOv3: rotary", "{\"model_type\": \"dinov3_vit\", \(base), \"intermediate_size\": 3072}"),
        ("DINOv3, gated", "{\"model_type\": \"dinov3_vit\", \(base), \(gated)}"),
        ("BEiT: bias on scores", "{\"model_type\": \"beit\", \"use_relative_position_bias\": true}"),
    ]

    /// Measures and prints all of them; gives them as JSON.
    static func measure() throws -> JSON {
        print("\nfamilies, ViT-B/16        precision    ms/image  of limit  over ViT's")
        var lines: [JSON] = []
        for precision in ComputePrecision.allCases where precision.isSupported {
            var first: Double?
            for (name, text) in models {
                let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: name)
                let result = try EngineBenchmark(configuration, batch: 1, threads: 1, precision: precision)
                    .measure(turns: 5)
                first = first ?? result.ratio
                let share = result.ratio / (first ?? 1)
                print(
                    Text.left(name, 26), Text.left(precision.rawValue, 9),
                    Text.right(result.processorSeconds * 1e3, 1, 12), Text.right(result.ratio, 3, 10),
                    Text.right(share, 3, 12), separator: "")
                var line = result.json
                line["model"] = .string(name)
                line["precision"] = .string(precision.rawValue)
                line["over_vit"] = .number(share, decimals: 4)
                lines.append(.object(line))
            }
        }
        return .array(lines)
    }
}
