import Files
import Tensors
import VisionTransformers

/// Whose names the modules of a written adapter have.
package enum ModuleNames: String, Sendable, CaseIterable {
    /// Those of transformers 5.
    case transformers5
    /// Those of transformers 4.
    case transformers4

    /// The path of a module in the family's class with a head.
    func path(of module: String, family: BackboneFamily) -> String {
        family.names.path(of: module, isOld: self == .transformers4)
    }

    /// Checks that modules have names of their own.
    ///
    /// - Throws: `ModelError` about `path` when they have not.
    func check(_ modules: [String], family: BackboneFamily, path: String) throws {
        guard Set(modules.map { self.path(of: $0, family: family) }).count == modules.count else {
            throw ModelError(path, "transformers 4 has the branches of a gated MLP in one module; use the names of 5")
        }
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
    ///   - modules: the adapted modules by canonical name, with their ranks.
    ///   - scaling: how B·A is scaled; with an α of its own all ranks are the same.
    ///   - head: the head that is in the file, if one is.
    func json(
        _ modules: [(module: String, rank: Int)], scaling: AdapterScaling, head: TransformersClassifier?
    ) -> JSON {
        let family = base.configuration.family
        let ranks = modules.map { (path: names.path(of: $0.module, family: family), rank: $0.rank) }
        let counts = Dictionary(ranks.map { ($0.rank, 1) }, uniquingKeysWith: +)
        let common = counts.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? 1
        let pattern = ranks.filter { $0.rank != common }.reduce(into: JSONObject()) { $0[$1.path] = .int($1.rank) }
        let alpha = scaling.alpha.map { alpha in
            alpha.rounded() == alpha && abs(alpha) < 1e9 ? JSON.int(Int(alpha)) : JSON.double(alpha)
        }
        // With the class that PEFT loads the base by, and without keys at their defaults that older versions do not
        // know.
        var object: JSONObject = [
            "auto_mapping": .object([
                "base_model_class": .string(head?.architecture ?? family.classifierArchitecture),
                "parent_library": .string(family.transformersModule),
            ]),
            "base_model_name_or_path": .string(base.folder),
            "bias": "none",
            "fan_in_fan_out": .bool(false),
            "inference_mode": .bool(true),
            "init_lora_weights": .bool(true),
            "lora_alpha": alpha ?? .int(common),
            "lora_dropout": .double(scaling.dropout),
            "modules_to_save": head.map { .array($0.modules.map(JSON.string)) } ?? .null,
            "peft_type": "LORA",
            "r": .int(common),
            "target_modules": .array(targets(Set(ranks.map(\.path))).map(JSON.string)),
            "task_type": .null,
        ]
        if !pattern.keys.isEmpty {
            object["alpha_pattern"] = .object(pattern)
            object["rank_pattern"] = .object(pattern)
        }
        if scaling.isRankStabilized { object["use_rslora"] = .bool(true) }
        return .object(object)
    }

    /// Names that select these modules and no others: the last part of the path where that does, else the whole path.
    private func targets(_ adapted: Set<String>) -> [String] {
        let family = base.configuration.family
        let all =
            ["classifier"]
            + base.configuration.parameterShapes.compactMap { name, shape in
                shape.count > 1 && name.hasSuffix(".weight")
                    ? names.path(of: String(name.dropLast(".weight".count)), family: family) : nil
            }
        let targets = adapted.map { path in
            let last = path.split(separator: ".").last.map(String.init) ?? path
            return all.filter { $0 == last || $0.hasSuffix("." + last) }.allSatisfy(adapted.contains) ? last : path
        }
        return Set(targets).sorted()
    }
}
