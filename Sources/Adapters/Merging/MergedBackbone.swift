package import Compute
import Files
package import Tensors
package import VisionTransformers

/// One adapter and how much of it is wanted in a merge.
package struct WeightedAdapter: Sendable {
    /// The adapter.
    package let adapter: Adapter
    /// Its weight; 1 unless given.
    package let weight: Double

    /// An adapter with its weight.
    package init(_ adapter: Adapter, weight: Double = 1) {
        self.adapter = adapter
        self.weight = weight
    }
}

/// A base with adapters merged into it.
package struct MergedBackbone: ParameterSource {
    /// The checkpoint without adapters.
    package let base: Checkpoint
    /// What is merged into it.
    package let adapters: [WeightedAdapter]
    /// How.
    package let method: MergeMethod
    /// The values of the method's parameters.
    package let settings: MergeSettings
    /// The merge that training began with, if this one was trained.
    package let start: MergeRule?
    /// The merged changes at scale 1, by parameter.
    private let unscaled: [String: WeightDelta]

    /// The factor on the merged changes; 1 for a method that has none.
    package var scale: Double { settings.values[MergeMethod.scale.name] ?? 1 }

    /// The merged changes, by parameter.
    package var deltas: [String: WeightDelta] { unscaled.mapValues { $0.scaled(by: scale) } }

    /// Merges the adapters.
    ///
    /// - Parameter inputMoments: gives what a method that uses images wants (see `Calibrator.inputMoments`).
    /// - Throws: `ModelError` when two adapters have one name, or a weight or a head is not finite; errors of the method.
    package init(
        base: Checkpoint, adapters: [WeightedAdapter], method: MergeMethod, settings: MergeSettings,
        inputMoments: (_ task: String, _ modules: Set<String>) throws -> [String: Matrix] = { _, _ in [:] }
    ) throws {
        var names: Set<String> = []
        for item in adapters {
            guard names.insert(item.adapter.task).inserted else {
                throw ModelError(item.adapter.path, "a second adapter named \"\(item.adapter.task)\"")
            }
            guard item.weight.isFinite else {
                throw ModelError(item.adapter.path, "weight of \(item.adapter.task): not a finite number")
            }
            try item.adapter.head.weight.checkFinite("the head's weight", path: item.adapter.path)
            try item.adapter.head.bias.checkFinite("the head's bias", path: item.adapter.path)
        }
        self.base = base
        self.adapters = adapters
        self.method = method
        self.settings = settings
        start = nil
        let modules = Set(adapters.flatMap(\.adapter.modules))
        let tasks = try adapters.enumerated().map { index, item in
            try LongWork.part("computing deltas", index, of: adapters.count) {
                try item.adapter.deltas(
                    of: base, weight: item.weight,
                    inputMoments: method.usesImages ? inputMoments(item.adapter.task, modules) : [:])
            }
        }
        unscaled = try method.merge(tasks, settings.atScaleOne)
    }

    private init(_ other: MergedBackbone, _ rule: MergeRule, start: MergeRule?, unscaled: [String: WeightDelta]) {
        (base, adapters, self.unscaled, self.start) = (other.base, other.adapters, unscaled, start)
        (method, settings) = (rule.method, rule.settings)
    }

    /// What training made of this merge.
    ///
    /// - Parameters:
    ///   - rule: how it was trained.
    ///   - changes: what training added to this merge, by parameter.
    package func trained(_ rule: MergeRule, adding deltas: [String: WeightDelta]) -> MergedBackbone {
        let parts = [self.deltas, deltas].map { TaskVector(task: "", weight: 1, deltas: $0) }
        return MergedBackbone(
            self, rule, start: MergeRule(method, settings), unscaled: MergeMethod.weightedSum(parts, factor: 1))
    }

    /// The same merge at another scale, to the last bit what merging at that scale gives. The scale is the last factor of
    /// every method, so nothing else is computed again.
    ///
    /// - Throws: `SettingError` when the scale is out of the method's range.
    package func rescaled(to scale: Double) throws -> MergedBackbone {
        var values = settings.values
        values["scale"] = scale
        let settings = try MergeSettings(values, for: method, seed: settings.seed)
        return MergedBackbone(self, MergeRule(method, settings), start: start, unscaled: unscaled)
    }

    /// A parameter with the merged change added: sums in double precision, rounded once.
    ///
    /// - Throws: `ModelError` when there is no such parameter, or the merge gives a value that is not finite.
    package func parameter(_ name: String) throws -> Tensor {
        let original = try base.parameter(name)
        guard let delta = unscaled[name]?.scaled(by: scale) else { return original }
        let merged = original.adding(delta)
        guard merged.values.allSatisfy(\.isFinite) else {
            throw overflow(name, original)
        }
        return merged
    }

    /// Gives the memory behind the base's parameter back to the system.
    package func release(_ name: String) { base.release(name) }

    /// The error of a value that is not finite: of the adapter whose own change is too large, or else of the merge.
    private func overflow(_ name: String, _ original: Tensor) -> ModelError {
        let reason = "\(name): the merge gives values that are not finite numbers"
        for item in adapters {
            guard let delta = item.adapter.delta(name, of: original),
                !original.adding(delta).values.allSatisfy(\.isFinite)
            else { continue }
            return ModelError(item.adapter.path, "its delta is too large for 32-bit floats: \(reason)")
        }
        let paths = adapters.map(\.adapter.path).joined(separator: ", ")
        return ModelError(paths.isEmpty ? base.folder : paths, reason)
    }
}

extension MergedBackbone {
    /// One adapter as it is: the sum of its change alone, at weight 1.
    ///
    /// - Throws: `ModelError` when the adapter does not fit the base.
    package init(_ adapter: Adapter, aloneOver base: Checkpoint) throws {
        try self.init(
            base: base, adapters: [WeightedAdapter(adapter)], method: .taskArithmetic,
            settings: MergeSettings(for: .taskArithmetic))
    }
}
