import Files
import Glibc
import Tensors
package import VisionTransformers

/// Writes a merge as a PEFT folder: a LoRA adapter that holds the merged change, for use over the unchanged base.
///
/// The folder has `adapter_config.json` and `adapter_model.safetensors` as PEFT saves them and `recipe.json`. The head
/// of a single task is in `modules_to_save` with `labels.json` beside it; those of several tasks, of which PEFT can
/// hold only one, are in `heads.safetensors` with `labels.TASK.json` for each. See docs/bundle-format.md.
package enum AdapterWriter {
    /// The file that says how the adapter came to be; a folder with it is one that this project wrote.
    package static let recipeName = RecordedBase.recipeName

    /// How much of the merged change an adapter holds.
    package struct Result: Sendable {
        /// The heads that were written.
        package let heads: [Head]
        /// The number of modules that the adapter adapts.
        package let modules: Int
        /// The smallest and largest of their ranks.
        package let ranks: ClosedRange<Int>
        /// The part of ‖ΔW‖² over all modules that was kept, 1 when nothing was cut off.
        package let energy: Double
        /// The module of which least was kept, and how much; nil when nothing was cut off.
        package let worst: (module: String, energy: Double)?
    }

    private static let kind = FolderKind("a merged adapter", marker: recipeName)

    /// Checks, before a long work, that an adapter may be written at a place.
    ///
    /// - Throws: `ModelError` when something is there that may not be replaced.
    package static func check(_ folder: String, replaces: Bool) throws {
        try AtomicFolder.check(folder, kind, replaces: replaces)
    }

    /// Writes a merge as an adapter. The folder appears under its name whole or not at all.
    ///
    /// - Parameters:
    ///   - merged: the merge.
    ///   - folder: where; its parent must exist.
    ///   - rank: the largest rank that a module may have, or nil: then changes known by their factors are written as
    ///     they are and others up to rank `LoRAExport.defaultRank`.
    ///   - names: how modules are called.
    ///   - calibration: what was done with calibration images, for the recipe.
    ///   - replaces: whether an adapter that was written by this function may be replaced.
    ///   - started: is given what removes the unfinished folder, to be called when the process is told to end; it
    ///     returns whether the folder was unfinished.
    /// - Throws: `ModelError` naming a changed parameter that LoRA cannot hold, or saying that nothing is changed, that
    ///   something is there already, or that the disk refuses.
    @discardableResult
    package static func write(
        _ merged: MergedBackbone, to folder: String, rank: Int? = nil, names: ModuleNames = .transformers5,
        calibration: CalibrationUse? = nil, replaces: Bool,
        started: (@escaping @Sendable () -> Bool) -> Void = { _ in }
    ) throws -> Result {
        let modules = try LoRAExport.all(of: merged, rank: rank)
        let heads = merged.adapters.map(\.adapter.head)
        for head in heads { try ModelBundle.checkTaskName(head.task, path: folder) }
        let own = heads.first.flatMap { head in
            heads.count == 1 && TransformersClassifier(head, configuration: merged.base.configuration) != nil
                ? head : nil
        }
        let target = try AtomicFolder(folder, kind, replaces: replaces)
        started { target.discard() }
        do {
            let files = AdapterFiles(base: merged.base, names: names)
            try files.write(
                modules.map { ($0.module, $0.a, $0.b) }, scaling: AdapterScaling(), head: own, to: target)
            if own == nil, !heads.isEmpty {
                try writeSafetensors(
                    heads.flatMap { [("\($0.task).weight", $0.weight), ("\($0.task).bias", $0.bias)] },
                    to: target.path(ModelBundle.headsName))
                for head in heads {
                    let labels = AdapterFiles.labels(head, base: merged.base)
                    try target.write("labels.\(head.task).json", labels.serialized())
                }
            }
            try target.write(
                recipeName,
                JSON.object([
                    "format": "mergevit-adapter", "format_version": .int(1),
                    "recipe": .object(
                        try Recipe([merged], order: heads.map(\.task), calibration: calibration).json),
                ])
                .serialized())
            try target.commit()
        } catch {
            target.discard()
            throw error
        }
        return result(modules, heads)
    }

    private static func result(_ modules: [LoRAExport], _ heads: [Head]) -> Result {
        let ranks = modules.map(\.rank)
        let (whole, lost) = (modules.reduce(0) { $0 + $1.square }, modules.reduce(0) { $0 + $1.lost })
        let worst = modules.filter { $0.lost > 0 }.min { $0.energy < $1.energy }
        return Result(
            heads: heads, modules: modules.count, ranks: (ranks.min() ?? 0)...(ranks.max() ?? 0),
            energy: whole > 0 ? 1 - lost / whole : 1, worst: worst.map { ($0.module, $0.energy) })
    }
}

extension Adapter {
    /// What an adapter folder changes in a base, by the canonical names of the parameters, whether or not it has a
    /// head.
    ///
    /// - Throws: as `init`.
    package static func deltas(in path: String, base: Checkpoint) throws -> [String: WeightDelta] {
        var reader = try AdapterReader(AdapterSource(path), base: base)
        try reader.read()
        var deltas: [String: WeightDelta] = [:]
        for (module, update) in reader.updates {
            let name = "\(module).weight"
            deltas[name] = update.delta(of: try base.parameter(name))
        }
        return deltas
    }
}
