package import Files
import Tensors
package import VisionTransformers

/// How a bundle came to be: everything that is needed to make it again, and to know that it is the same.
package enum Recipe {
    /// The recipe of a bundle: that of its first backbone with the adapters of all in the bundle's order.
    ///
    /// Backbones that were not all merged in one way are listed by group, as `groups`.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    static func json(_ groups: [MergedBackbone], order: [String], calibration: CalibrationRecord? = nil) throws -> JSON
    {
        guard let first = groups.first else { return .null }
        guard groups.count > 1 else { return .object(try json(first, calibration: calibration)) }
        let adapters = groups.flatMap(\.adapters)
        let sorted = order.flatMap { name in adapters.filter { $0.adapter.task == name } }
        let others = adapters.filter { !order.contains($0.adapter.task) }
        var recipe = try json(first, adapters: sorted + others, calibration: calibration)
        if groups.contains(where: { rule($0) != rule(first) }) {
            recipe["groups"] = .array(groups.map { .object(rule($0)) })
        }
        return .object(recipe)
    }

    private static func rule(_ merged: MergedBackbone) -> JSONObject {
        var object = MergeRule(merged.method, merged.settings).json
        object["start"] = merged.start.map { .object($0.json) }
        return object
    }

    /// The recipe of a merge, with the SHA-256 of every file that went into it.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    static func json(
        _ merged: MergedBackbone, adapters: [WeightedAdapter]? = nil, calibration: CalibrationRecord? = nil
    ) throws -> JSONObject {
        let base = merged.base
        var recipe = rule(merged)
        recipe["base"] = .object(["path": .string(base.folder), "sha256": try SHA256.json(ofFiles: files(of: base))])
        recipe["adapters"] = .array(
            try (adapters ?? merged.adapters).map { item in
                var members: JSONObject = [
                    "name": .string(item.adapter.task),
                    "weight": .double(item.weight),
                    "path": .string(item.adapter.path),
                ]
                members["labels"] = item.adapter.labels.map(JSON.string)
                members["activation"] = item.adapter.givenActivation.map { .string($0.rawValue) }
                members["head"] = try item.adapter.headFile.map {
                    .object(["path": .string($0), "sha256": .string(try SHA256.text(ofFile: $0))])
                }
                members["sha256"] = try SHA256.json(ofFiles: item.adapter.files)
                return .object(members)
            })
        recipe["calibration"] = calibration?.json
        return recipe
    }
}

extension MergeRule {
    /// The rule as recipes hold it.
    package var json: JSONObject {
        [
            "method": .string(method.name),
            "parameters": .object(
                method.parameters.reduce(into: JSONObject()) { $0[$1.name] = .double(settings[$1.name]) }),
            "seed": .number(String(settings.seed)),
        ]
    }
}

extension Recipe {
    /// The files of a base that a bundle is made of.
    package static func files(of base: Checkpoint) -> [String] {
        ["\(base.folder)/config.json"] + base.preprocessorPaths + base.files.map(\.path)
    }
}
