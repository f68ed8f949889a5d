import Files
import Images
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

@Suite struct ConfigurationTests {
    /// Opens a case with one key of its `config.json` changed, and tells what is said about it.
    func said(_ model: String, _ key: String, _ value: String) throws -> String {
        var draft = try CheckpointDraft(model)
        draft.configuration[key] = try JSON(parsing: Array(value.utf8))
        let folder = try draft.written()
        let said = message {
            let checkpoint = try Checkpoint(folder: folder.path)
            _ = try checkpoint.head(task: "label")
        }
        return said.replacing(folder.path, with: "FOLDER")
    }

    @Test(arguments: [
        ("hidden_size", "0"), ("hidden_size", "-48"), ("hidden_size", "48.5"), ("hidden_size", "1e30"),
        ("hidden_size", #""48""#), ("hidden_size", "true"), ("hidden_size", "[48]"), ("num_hidden_layers", "0"),
        ("num_hidden_layers", "1048576"), ("num_hidden_layers", "9223372036854775808"),
        ("num_attention_heads", "0"), ("num_attention_heads", "5"),
        ("intermediate_size", "[96]"), ("intermediate_size", "0"), ("num_channels", "1"), ("num_channels", "4"),
        ("image_size", "4"), ("image_size", "[32]"), ("image_size", "[32, 0]"), ("image_size", "[32, 32, 3]"),
        ("image_size", #"["32", 32]"#), ("patch_size", "{}"), ("patch_size", "0"), ("patch_size", "33"),
        ("layer_norm_eps", #""small""#), ("layer_norm_eps", "-1e-6"), ("layer_norm_eps", "1e300"),
        ("layer_norm_eps", "1e999"), ("qkv_bias", "1"), ("qkv_bias", #""true""#), ("hidden_act", #""tanh""#),
        ("hidden_act", "7"), ("model_type", #""swin""#), ("model_type", #""convnext""#),
        ("model_type", "7"), ("model_type", "null"),
        ("quantization_config", #"{"bits": 4}"#), ("quantization_config", "true"), ("id2label", "[]"),
        ("id2label", "{}"), ("id2label", #"{"0": "a", "2": "b"}"#), ("id2label", #"{"0": "a", "-1": "b"}"#),
        ("id2label", #"{"x": "a"}"#), ("id2label", #"{"0": [1]}"#),
    ])
    func valuesThatCannotBeAreRefusedByKey(_ key: String, _ value: String) throws {
        let said = try said("vit", key, value)
        #expect(said.hasPrefix("FOLDER/config.json: ") && said.contains(key), "\(said)")
    }

    @Test(arguments: [
        ("mlp_ratio", "0"), ("mlp_ratio", "1e9"), ("mlp_ratio", #""2""#), ("use_swiglu_ffn", "0"),
        ("hidden_act", #""softplus""#),
    ])
    func valuesOfDINOv2ThatCannotBeAreRefusedByKey(_ key: String, _ value: String) throws {
        let said = try said("dinov2", key, value)
        #expect(said.hasPrefix("FOLDER/config.json: ") && said.contains(key), "\(said)")
    }

    /// A value that could be, but is not that of the weights.
    @Test(arguments: [
        ("hidden_size", "96", "embeddings.cls_token"), ("num_hidden_layers", "4", "layers.3.norm1.weight"),
        ("num_hidden_layers", "1000", "layers.3.norm1.weight"), ("hidden_size", "1048576", "embeddings.cls_token"),
        ("image_size", "64", "embeddings.position_embeddings"), ("image_size", "1048576", "position_embeddings"),
        ("patch_size", "[8, 4]", "embeddings.position_embeddings"), ("intermediate_size", "192", "mlp.fc1.weight"),
        ("model_type", #""deit""#, "embeddings.distillation_token"), ("qkv_bias", "false", "has no place"),
        ("hidden_size", "null", "[1, 1, 768]"), ("num_hidden_layers", "2", "has no place"),
    ])
    func theWeightsMustFitTheConfiguration(_ key: String, _ value: String, _ named: String) throws {
        let said = try said("vit", key, value)
        #expect(said.contains(named), "\(said)")
    }

    @Test func classNamesMustFitTheHead() throws {
        let said = try said("vit", "id2label", #"{"0": "a", "1": "b"}"#)
        #expect(said.contains("7 classes in the weight, 2 class names"), "\(said)")
        // ImageNet has two classes called "crane".
        let twice = #"{"0": "a", "1": "a", "2": "b", "3": "c", "4": "d", "5": "e", "6": "f"}"#
        #expect(try self.said("vit", "id2label", twice) == "nothing was thrown")
        #expect(try self.said("vit", "id2label", "null") == "nothing was thrown")
    }

    @Test func keysThatAreNotThereHaveTheDefaultsOfTransformers() throws {
        let vit = try BackboneConfiguration(.object(["model_type": "vit"]), path: "config.json")
        #expect(vit.hiddenSize == 768 && vit.layers == 12 && vit.heads == 12 && vit.intermediateSize == 3072)
        #expect(vit.imageSize == .init(height: 224, width: 224) && vit.patchSize == .init(height: 16, width: 16))
        #expect(vit.layerNormEpsilon == 1e-12 && "\(vit.activation)" == "gelu")
        #expect(vit.anatomy.biases == AttentionBiases())
        let dinov2 = try BackboneConfiguration(.object(["model_type": "dinov2"]), path: "config.json")
        #expect(dinov2.intermediateSize == 3072 && dinov2.patchSize == .init(height: 14, width: 14))
        #expect(dinov2.layerNormEpsilon == 1e-6 && !dinov2.isGated)
    }

    @Test func theGatedWidthIsTwoThirdsRoundedUpToEight() throws {
        for (hidden, width) in [(48, 128), (384, 1024), (1536, 4096), (10, 32), (3, 8)] {
            let json: JSON = .object([
                "model_type": "dinov2", "hidden_size": .int(hidden), "num_attention_heads": .int(1),
                "use_swiglu_ffn": .bool(true),
            ])
            #expect(try BackboneConfiguration(json, path: "").intermediateSize == width)
        }
    }
}
