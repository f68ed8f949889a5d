import Files
import Tensors
import VisionTransformers

/// The tables of `make bench` about the engine: models, batches, precisions and threads; then where the time goes.
enum EngineTables {
    /// Models by name, with their `config.json`.
    static let models = [
        ("ViT-B/16 at 224", RandomBackbone.base16),
        (
            "ViT-S/16 at 224",
            "{\"model_type\": \"vit\", \"hidden_size\": 384, \"num_attention_heads\": 6, \"intermediate_size\": 1536}"
        ),
        (
            "ViT-Ti/16 at 224",
            "{\"model_type\": \"vit\", \"hidden_size\": 192, \"num_attention_heads\": 3, \"intermediate_size\": 768}"
        ),
        (
            "sample, 6 x 192 at 64",
            """
            {"model_type": "vit", "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768,
             "num_hidden_layers": 6, "image_size": 64, "patch_size": 8}
            """
        ),
    ]

    /// Measures and prints all of them; gives them as JSON.
    static func measure(cores: Int) throws -> JSON {
        print(
            "engine                  precision  batch  threads   images/s  CPU ms/image  of limit  whole model",
            " allocations/batch")
        var lines: [JSON] = []
        for (name, text) in models {
            let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: name)
            for precision in ComputePrecision.allCases where precision.isSupported {
                for (batch, threads) in [(1, 1), (8, 1), (8, cores), (32, cores)] {
                    let result = try EngineBenchmark(
                        configuration, batch: batch, threads: threads, precision: precision
                    ).measure(turns: 5)
                    print(
                        Text.left(name, 24), Text.left(precision.rawValue, 9), Text.right("\(batch)", 7),
                        Text.right("\(threads)", 9), Text.right(result.imagesPerSecond, 1, 11),
                        Text.right(result.processorSeconds * 1e3, 2, 14), Text.right(result.ratio, 3, 10),
                        Text.right(result.wholeRatio, 3, 13), Text.right(result.allocations, 1, 19), separator: "")
                    var line = result.json
                    line["model"] = .string(name)
                    line["precision"] = .string(precision.rawValue)
                    line["batch"] = .number("\(batch)")
                    line["threads"] = .number("\(threads)")
                    lines.append(.object(line))
                }
            }
        }
        return .array(lines)
    }

    /// Measures and prints the share of each kind of step; gives them as JSON.
    static func shares() throws -> JSON {
        let stages = ForwardStage.allCases
        print("\nwhere the time goes     precision   ms/image", stages.map { Text.right("\($0)", 15) }.joined())
        var lines: [JSON] = []
        for (name, text) in models {
            let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: name)
            for precision in ComputePrecision.allCases where precision.isSupported {
                let (milliseconds, shares) = try EngineBenchmark(
                    configuration, batch: 1, threads: 1, precision: precision
                ).shares(turns: 15)
                print(
                    Text.left(name, 24), Text.left(precision.rawValue, 9), Text.right(milliseconds, 2, 11), " ",
                    shares.map { Text.right($0.share, 3, 15) }.joined(), separator: "")
                var line: JSONObject = [
                    "model": .string(name), "precision": .string(precision.rawValue),
                    "milliseconds_per_image": .number(milliseconds, decimals: 3),
                ]
                for (stage, share) in shares { line["\(stage)"] = .number(share, decimals: 4) }
                lines.append(.object(line))
            }
        }
        return .array(lines)
    }
}
