import Files
import Tensors
import VisionTransformers

/// What `adapter_config.json` says of a PEFT LoRA adapter. Everything that changes the adapter's meaning is understood
/// or refused by name.
struct AdapterConfiguration: Sendable, Equatable {
    /// The rank, unless `rankPattern` says otherwise of a module.
    let rank: Int
    /// α, unless `alphaPattern` says otherwise of a module.
    let alpha: Double
    let rankPattern: [ModulePattern<Int>]
    let alphaPattern: [ModulePattern<Double>]
    /// Scale α/√r instead of α/r (rsLoRA, arXiv 2312.03732).
    let isRankStabilized: Bool
    /// Magnitude and direction are trained apart (DoRA, arXiv 2402.09353).
    let isDoRA: Bool
    /// Which modules the adapter was made for.
    let targets: TargetModules
    /// What was taken out of the base's weights before training; nil when they were left as they are.
    let start: StartingPoint?
    /// The head in `modules_to_save`, which PEFT then saves with the adapter; nil when there is none. (For image
    /// classification it always writes `score`, too, which these models do not have.)
    let savedHead: String?
    /// The base that it was made for, as PEFT was given it: a name or a path. Nil when nothing is said.
    let baseName: String?

    /// A value for the modules whose path matches a pattern.
    struct ModulePattern<Value: Sendable & Equatable>: Sendable, Equatable {
        let pattern: ModuleExpression
        let value: Value
    }

    /// The scale of a module's B·A.
    ///
    /// - Parameter path: the module's path as the adapter spells it.
    func scale(path: String) -> Double {
        let alpha = alphaPattern.first { $0.pattern.matchesEnd(of: path) }?.value ?? alpha
        let rank = Double(rank(path: path))
        return isRankStabilized ? alpha / rank.squareRoot() : alpha / rank
    }

    /// The rank of a module.
    func rank(path: String) -> Int { rankPattern.first { $0.pattern.matchesEnd(of: path) }?.value ?? rank }

    /// Keys that say how an adapter was trained or where it came from; they do not change what its weights mean.
    private static let neutral: Set<String> = [
        "auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "inference_mode", "layers_pattern",
        "lora_bias", "lora_dropout", "megatron_core", "modules_to_save", "peft_version", "qalora_group_size",
        "revision", "task_type", "runtime_config",
        // Settings of initialisations; `init_lora_weights` says which was used.
        "corda_config", "eva_config", "loftq_config", "lora_ga_config",
    ]

    /// Keys that are read below.
    private static let understood: Set<String> = [
        "peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "bias",
        "fan_in_fan_out", "init_lora_weights", "target_modules", "exclude_modules", "layers_to_transform",
    ]

    /// What an initialisation took out of the base's weights, or nil.
    ///
    /// - Throws: `ModelError` when it cannot be computed from the adapter and the base.
    private static func start(_ value: String?, path: String) throws -> StartingPoint? {
        guard let value, !safeInitialisations.contains(value) else { return nil }
        if let start = StartingPoint(value) { return start }
        let way =
            "convert the adapter when saving it (path_initial_model_for_weight_conversion), and save the head "
            + "beside it, "
            + "which PEFT leaves out of a converted file"
        guard !value.hasPrefix("pissa_niter_") else {
            throw ModelError(
                path,
                "init_lora_weights \"\(value)\" takes a part out of the base's weights that is drawn at random "
                    + "whenever PEFT "
                    + "loads the adapter, so its delta cannot be known; train with \"pissa\", or \(way)")
        }
        throw ModelError(
            path,
            "init_lora_weights \"\(value)\" changes the base weights, so the adapter's B·A alone is not its "
                + "delta; \(way)"
        )
    }

    /// Initialisations that leave the base as it is, so that B·A is the whole delta.
    private static let safeInitialisations: Set<String> = ["gaussian", "eva", "orthogonal"]

    init(_ json: JSON, path: String) throws {
        guard let object = json.objectValue else { throw ModelError(path, "expected an object, found \(json.kind)") }
        let file = AdapterFile(object: object, path: path)
        let type = object["peft_type"]?.stringValue ?? "nothing"
        guard type == "LORA" else { throw ModelError(path, "peft_type: expected LORA, found \(type)") }
        for (key, value) in object.members
        where !Self.neutral.contains(key) && !Self.understood.contains(key) && !value.isNeutral {
            throw ModelError(path, "\(key): \(value.serialized(indented: false)) is not supported")
        }
        guard try !file.boolean("fan_in_fan_out") else {
            throw ModelError(path, "fan_in_fan_out: transposed weights are not those of a Vision Transformer")
        }
        start = try Self.start(object["init_lora_weights"]?.stringValue, path: path)
        let bias = object["bias"]?.stringValue ?? "none"
        guard ["none", "all", "lora_only"].contains(bias) else {
            throw ModelError(path, "bias: expected none, all or lora_only, found \"\(bias)\"")
        }
        guard let rank = object["r"]?.intValue, (1...65536).contains(rank) else {
            throw ModelError(path, "r: expected a whole number from 1 to 65536")
        }
        guard let alpha = object["lora_alpha"]?.doubleValue, alpha.isFinite else {
            throw ModelError(path, "lora_alpha: expected a number")
        }
        self.rank = rank
        self.alpha = alpha
        rankPattern = try file.patterns("rank_pattern") { $0.intValue.flatMap { $0 > 0 ? $0 : nil } }
        alphaPattern = try file.patterns("alpha_pattern") { $0.doubleValue.flatMap { $0.isFinite ? $0 : nil } }
        isRankStabilized = try file.boolean("use_rslora")
        isDoRA = try file.boolean("use_dora")
        targets = try TargetModules(object, path: path)
        baseName = object["base_model_name_or_path"]?.stringValue
        savedHead = object["modules_to_save"]?.arrayValue?.compactMap(\.stringValue).first { name in
            ["classifier", "cls_classifier", "distillation_classifier"]
                .contains { name == $0 || name.hasSuffix(".\($0)") }
        }
    }
}

/// Typed access to the keys of an `adapter_config.json`.
private struct AdapterFile {
    let object: JSONObject
    let path: String

    func boolean(_ key: String) throws -> Bool {
        guard let value = object[key], value != .null else { return false }
        guard let boolean = value.boolValue else {
            throw ModelError(path, "\(key): expected true or false, found \(value.kind)")
        }
        return boolean
    }

    func patterns<Value>(
        _ key: String, _ read: (JSON) -> Value?
    ) throws -> [AdapterConfiguration.ModulePattern<Value>] {
        guard let value = object[key], value != .null else { return [] }
        guard let members = value.objectValue?.members else {
            throw ModelError(path, "\(key): expected an object, found \(value.kind)")
        }
        return try members.map { pattern, value in
            guard let number = read(value) else { throw ModelError(path, "\(key)[\"\(pattern)\"]: expected a number") }
            return .init(pattern: try ModuleExpression(pattern, key: key, path: path), value: number)
        }
    }
}

extension JSON {
    /// Whether a setting is off: null, false, or empty.
    fileprivate var isNeutral: Bool {
        switch self {
        case .null, .bool(false): true
        case .array(let elements): elements.isEmpty
        case .object(let object): object.keys.isEmpty
        default: false
        }
    }
}
