import Compute
import Files
import Images

extension BackboneFamily {
    /// Vision Transformers of timm, from its folders on the hub or as transformers saves them. Their configuration
    /// names an architecture; tensors say what it is made of, all but the number of heads and the activation.
    static let timm = BackboneFamily(
        name: "timm_wrapper", architecture: "TimmWrapperModel",
        classifierArchitecture: "TimmWrapperForImageClassification",
        keys: ConfigurationKeys(whole: { try TimmReader($0).configuration() }), names: .timm)
}

extension ParameterNaming {
    /// timm's names, which have the prefix `timm_model.` in adapters alone.
    static let timm = ParameterNaming(
        prefix: "", readPrefixes: ["timm_model."], blocks: ("blocks.", "blocks."),
        inBlock: [
            ("attn.proj", "attention.o_proj"), ("attn.q_proj", "attention.q_proj"),
            ("attn.k_proj", "attention.k_proj"), ("attn.v_proj", "attention.v_proj"),
            ("attn.q_bias", "attention.q_proj.bias"), ("attn.v_bias", "attention.v_proj.bias"),
            ("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1"),
            ("gamma_1", "layer_scale1.lambda1"), ("gamma_2", "layer_scale2.lambda1"),
        ], keepsNames: true,
        outside: [
            ("cls_token", "embeddings.cls_token"), ("dist_token", "embeddings.distillation_token"),
            ("reg_token", "embeddings.register_tokens"), ("pos_embed", "embeddings.position_embeddings"),
            ("patch_embed.proj", ParameterNames.patchProjection), ("norm_pre", ParameterNames.preNorm),
            ("norm", "layernorm"), ("fc_norm", "layernorm"), ("head", "classifier"),
        ],
        fused: [("attn.qkv", ["attention.q_proj", "attention.k_proj", "attention.v_proj"])], head: "head",
        adapterPrefix: "timm_model.")
}

/// Reads the configuration of a model of timm.
private struct TimmReader {
    private let file: ConfigurationFile
    private let architecture: String
    private let arguments: ConfigurationFile

    init(_ file: ConfigurationFile) throws {
        self.file = file
        architecture = try file.string("architecture", default: nil)
        arguments =
            try file.value("model_args") == nil
            ? ConfigurationFile(json: .object([:]), path: file.path, tensors: [:]) : file.section("model_args")
    }

    private func failure(_ reason: String) -> ModelError {
        ModelError(file.path, "architecture \"\(architecture)\": \(reason)")
    }

    private func shape(_ name: String) -> [Int]? { file.tensors[name] ?? file.tensors["timm_model.\(name)"] }

    /// Tensors of layers that are not those of the Vision Transformers that are supported here.
    private static let foreign = [
        ("attn_pool.", "pools by attention"), ("blocks.0.attn.q_norm.", "normalizes queries"),
        ("blocks.0.mlp.norm.", "normalizes within the MLP"), ("blocks.0.attn.norm.", "normalizes within attention"),
        ("patch_embed.backbone.", "embeds patches by another network"),
        ("blocks.0.attn.relative_position_bias_table", "has a bias by relative position"),
        ("rel_pos_bias.", "has a bias by relative position"), ("rope.freqs", "has learned frequencies"),
    ]

    func configuration() throws -> BackboneConfiguration {
        func hasTensors(_ beginning: String) -> Bool { file.tensors.keys.contains { $0.hasPrefix(beginning) } }
        for (beginning, reason) in Self.foreign
        where hasTensors(beginning) || hasTensors("timm_model.\(beginning)") {
            throw failure("\(reason), which is not supported")
        }
        let kind: TimmArchitecture
        do { kind = try TimmArchitecture(architecture) } catch { throw failure(error.reason) }
        guard let patch = shape("patch_embed.proj.weight"), patch.count == 4,
            patch[1] == BackboneConfiguration.channels, patch.allSatisfy({ $0 > 0 })
        else { throw failure("expected a tensor patch_embed.proj.weight of (width, 3, height, width)") }
        let (width, depth) = (patch[0], blocks)
        guard depth > 0 else { throw failure("no tensors of blocks") }
        let isSplit = shape("blocks.0.mlp.fc1_g.weight") != nil
        guard let first = shape(isSplit ? "blocks.0.mlp.fc1_g.weight" : "blocks.0.mlp.fc1.weight"), first.count == 2,
            let second = shape("blocks.0.mlp.fc2.weight"), second.count == 2, second[1] > 0
        else { throw failure("expected tensors blocks.0.mlp.fc1.weight and fc2.weight") }
        let isGated = isSplit || first[0] == 2 * second[1]
        var names = ParameterNaming.timm
        if isSplit {
            names.inBlock += [
                ("mlp.fc1_g", "mlp.gate_proj"), ("mlp.fc1_x", "mlp.up_proj"), ("mlp.fc2", "mlp.down_proj"),
            ]
        } else if isGated {
            names.inBlock.append(("mlp.fc2", "mlp.down_proj"))
            names.fused.append(("mlp.fc1", ["mlp.gate_proj", "mlp.up_proj"]))
        }
        if shape("dist_token") != nil {
            names.outside.removeAll { $0.old == "head" }
            names.outside += [("head", "cls_classifier"), ("head_dist", "distillation_classifier")]
        }
        let patchSize = ImageSize(height: patch[2], width: patch[3])
        return BackboneConfiguration(
            family: .timm, hiddenSize: width, layers: depth, heads: try heads(kind, width: width),
            intermediateSize: second[1],
            activation: isGated ? .swish(alpha: 1) : try activation(kind), isGated: isGated,
            layerNormEpsilon: kind.epsilon, imageSize: try imageSize(), patchSize: patchSize,
            anatomy: try anatomy(kind), names: names)
    }

    private var blocks: Int {
        let numbers = file.tensors.keys.compactMap { ParameterNames.layer(of: ParameterNaming.timm.canonical($0)) }
        return min((numbers.max() ?? -1) + 1, 1000)
    }

    private func heads(_ kind: TimmArchitecture, width: Int) throws -> Int {
        if try arguments.value("num_heads") != nil { return try arguments.integer("num_heads", default: 1) }
        guard let heads = kind.heads(width: width) else {
            throw failure("the number of heads is not known for a width of \(width)")
        }
        return heads
    }

    private func activation(_ kind: TimmArchitecture) throws -> Activation {
        guard try arguments.value("act_layer") != nil else { return kind.activation }
        let name = try arguments.string("act_layer", default: nil)
        let ours = ["gelu_tanh": "gelu_pytorch_tanh", "quick_gelu": "quick_gelu", "quickgelu": "quick_gelu"]
        return try arguments.activation(named: ours[name] ?? name, "model_args.act_layer")
    }

    private func imageSize() throws -> ImageSize {
        if try arguments.value("img_size") != nil { return try arguments.extent("img_size", default: 224) }
        let settings = try file.section(Preprocessing.timmKey)
        let input = try settings.value("input_size")?.arrayValue?.compactMap(\.intValue) ?? []
        guard input.count == 3, input.allSatisfy({ (1...ConfigurationFile.limit).contains($0) }) else {
            throw failure("\(Preprocessing.timmKey).input_size: expected three whole numbers")
        }
        return ImageSize(height: input[1], width: input[2])
    }

    private func anatomy(_ kind: TimmArchitecture) throws -> Anatomy {
        let pooling = try file.string("global_pool", default: kind.pooling)
        guard ["token", "avg"].contains(pooling) else { throw failure("global_pool \"\(pooling)\" is not supported") }
        var anatomy = Anatomy()
        anatomy.prefix = PrefixTokens(
            hasCLS: shape("cls_token") != nil, hasDistillation: shape("dist_token") != nil,
            registers: shape("reg_token").map { $0.count == 3 ? min($0[1], 1024) : 0 } ?? 0)
        guard pooling == "avg" || anatomy.prefix.hasCLS else {
            throw failure("global_pool \"token\" without a CLS token is not supported")
        }
        if kind.isRotary {
            anatomy.positions = .rotary(base: 100)
        } else {
            guard let table = shape("pos_embed"), table.count == 3, let patch = shape("patch_embed.proj.weight") else {
                throw failure("expected a tensor pos_embed")
            }
            let size = try imageSize()
            let patches = (size.height / max(patch[2], 1)) * (size.width / max(patch[3], 1))
            anatomy.positions = .table(
                resampling: nil, coversPrefix: table[1] == patches + anatomy.prefix.read)
            guard anatomy.prefix.registers == 0 || table[1] == patches || table[1] == patches + anatomy.prefix.read
            else { throw failure("positions of registers are not supported") }
        }
        anatomy.hasPatchBias = shape("patch_embed.proj.bias") != nil
        anatomy.hasPreNorm = shape("norm_pre.weight") != nil
        let isJoined = shape("blocks.0.attn.qkv.bias") != nil
        func has(_ part: String) -> Bool {
            isJoined || shape("blocks.0.attn.\(part)_bias") != nil || shape("blocks.0.attn.\(part)_proj.bias") != nil
        }
        anatomy.biases = AttentionBiases(query: has("q"), key: has("k"), value: has("v"))
        anatomy.hasLayerScale = shape("blocks.0.ls1.gamma") != nil || shape("blocks.0.gamma_1") != nil
        anatomy.finalNorm =
            shape("fc_norm.weight") != nil ? .features : shape("norm.weight") != nil ? .tokens : .none
        anatomy.features.hasTokens = pooling == "token"
        return anatomy
    }
}

/// What the name of an architecture of timm says and its tensors do not.
private struct TimmArchitecture {
    var epsilon: Float = 1e-6
    var activation = Activation.gelu
    var pooling = "token"
    var isRotary = false
    private var size: Substring = ""

    /// Why an architecture is not one of the supported.
    struct Refusal: Error { let reason: String }

    /// The sizes in names, whose heads are 64 wide unless the list says otherwise.
    private static let heads: [Substring: [Int: Int]] = [
        "tiny": [:], "wee": [:], "xsmall": [:], "little": [:], "small": [:], "medium": [:], "mediumd": [:],
        "betwixt": [:], "base": [:], "so150m": [:], "so150m2": [:], "large": [:], "intern300m": [:],
        "so400m": [1152: 16], "huge": [1280: 16], "giant": [1408: 16, 1536: 24], "giantopt": [1536: 16],
        "gigantic": [1664: 16],
    ]

    init(_ name: String) throws(Refusal) {
        let words = (name.split(separator: ".").first ?? "").split(separator: "_")
        guard words.count >= 2, ["vit", "deit", "deit3", "eva", "beit3"].contains(words[0]), Self.heads[words[1]] != nil
        else {
            throw Refusal(
                reason: "not a Vision Transformer that is supported; of timm's these are vit_*, deit_* and deit3_* of "
                    + "the usual sizes, with or without CLIP's, SigLIP's (gap), DINOv2's and DINOv3's weights, "
                    + "eva_large_* and beit3_*")
        }
        let strangers: Set<Substring> = ["xp", "rope", "rpn", "radio", "relpos", "srelpos", "lingbot", "plus", "pe"]
        if let stranger = words.first(where: { strangers.contains($0) }),
            !(stranger == "plus" && words.contains("dinov3"))
        {
            throw Refusal(reason: "\"\(stranger)\" variants are not supported")
        }
        if words[0] == "eva", words[1] != "large" {
            throw Refusal(reason: "not supported; of these eva_large_* is")
        }
        size = words[1]
        isRotary = words.contains("dinov3")
        if words.contains("clip") || words[0] == "beit3" || isRotary { epsilon = 1e-5 }
        if words.contains("quickgelu") { activation = .swish(alpha: 1.702) }
        if words.contains("siglip"), Self.usesTanh(words) { activation = .geluTanh }
        if words.contains("gap") || isRotary || words[0] == "eva" || words[0] == "beit3" { pooling = "avg" }
    }

    /// SigLIP 2's models of these sizes approximate GELU by tanh, as all do in the original.
    private static func usesTanh(_ words: [Substring]) -> Bool {
        guard words.count > 2 else { return false }
        let (size, patch, side) = (words[1], words[2], words.last ?? "")
        return size == "giantopt" || (size == "base" && patch == "patch32") || (size == "large" && side == "512")
            || (size == "so400m" && patch == "patch16")
    }

    func heads(width: Int) -> Int? {
        guard let listed = Self.heads[size] else { return nil }
        if let heads = listed[width] { return heads }
        return listed.isEmpty && width % 64 == 0 ? width / 64 : nil
    }
}
