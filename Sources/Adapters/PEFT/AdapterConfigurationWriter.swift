import Files
import Tensors
import VisionTransformers

/// Whose names the modules of a written adapter have.
package enum ModuleNames: String, Sendable, CaseIterable {
    /// Those of transformers 5.
    case transformers5
    /// Those of transformers 4.
    case transformers4

    /// The path of a module in the class with a head.
    func path(of module: String, in base: Checkpoint) -> String {
        base.names.path(of: module, isOld: self == .transformers4)
    }

    /// The modules that a module is one with, in the order of their rows, or nil if it is one by itself.
    func branches(of module: String, in base: Checkpoint) -> [String]? {
        base.names.joined(module, isOld: self == .transformers4)
    }
}

/// How an adapter's B·A is scaled, and how it was trained, as `adapter_config.json` says it.
struct AdapterScaling {
    /// α, or nil for that of the rank, so that the scale is 1.
    var alpha: Double?
    /// Whether the scale is α/√r instead of α/r.
    var isRankStabilized = false
    /// The part of the inputs that was dropped in training.
    var dropout = 0.0
}

/// Makes the `adapter_config.json` of an adapter.
struct AdapterConfigurationWriter {
    let base: Checkpoint
    let names: ModuleNames

    /// The configuration.
    ///
    /// - Parameters:
    ///   - modules: the adapted modules by their paths, with rank and α of each.
    ///   - scaling: how B·A is scaled.
    ///   - head: the head that is in the file, if one is.
    func json(
        _ modules: [(path: String, rank: Int, alpha: Double)], scaling: AdapterScaling, head: TransformersClassifier?
    ) -> JSON {
        let family = base.configuration.family
        let counts = Dictionary(modules.map { ($0.rank, 1) }, uniquingKeysWith: +)
        let common = counts.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? 1
        let commonAlpha = modules.first { $0.rank == common }?.alpha ?? scaling.alpha ?? Double(common)
        func number(_ alpha: Double) -> JSON {
            alpha.rounded() == alpha && abs(alpha) < 1e9 ? .int(Int(alpha)) : .double(alpha)
        }
        var (ranks, alphas) = (JSONObject(), JSONObject())
        for module in modules {
            if module.rank != common { ranks[module.path] = .int(module.rank) }
            if module.alpha != commonAlpha { alphas[module.path] = number(module.alpha) }
        }
        // With the class that PEFT loads the base by, and without keys at their defaults that older versions do not
        // know.
        var object: JSONObject = [
            "auto_mapping": .object([
                "base_model_class": .string(
                    head?.architecture ?? family.classifierArchitecture ?? family.architecture),
                "parent_library": .string(family.transformersModule),
            ]),
            "base_model_name_or_path": .string(base.folder),
            "bias": "none",
            "fan_in_fan_out": .bool(false),
            "inference_mode": .bool(true),
            "init_lora_weights": .bool(true),
            "lora_alpha": number(commonAlpha),
            "lora_dropout": .double(scaling.dropout),
            "modules_to_save": head.map { .array($0.modules.map(JSON.string)) } ?? .null,
            "peft_type": "LORA",
            "r": .int(common),
            "target_modules": .array(targets(Set(modules.map(\.path))).map(JSON.string)),
            "task_type": .null,
        ]
        if !alphas.keys.isEmpty { object["alpha_pattern"] = .object(alphas) }
        if !ranks.keys.isEmpty { object["rank_pattern"] = .object(ranks) }
        if scaling.isRankStabilized { object["use_rslora"] = .bool(true) }
        return .object(object)
    }

    /// Names that select these modules and no others: the last part of the path where that does, else the whole path.
    private func targets(_ adapted: Set<String>) -> [String] {
        let all =
            [base.names.head]
            + base.configuration.parameterShapes.compactMap { name, shape in
                shape.count > 1 && name.hasSuffix(".weight")
                    ? names.path(of: String(name.dropLast(".weight".count)), in: base) : nil
            }
        let targets = adapted.map { path in
            let last = path.split(separator: ".").last.map(String.init) ?? path
            return all.filter { $0 == last || $0.hasSuffix("." + last) }.allSatisfy(adapted.contains) ? last : path
        }
        return Set(targets).sorted()
    }
}
