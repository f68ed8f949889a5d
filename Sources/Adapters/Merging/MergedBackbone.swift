package import Compute
import Files
package import Tensors
package import VisionTransformers

/// An adapter with its weight in a merge.
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
    /// The adapters that are merged.
    package let adapters: [WeightedAdapter]
    /// How they are merged.
    package let plan: MergePlan
    /// The merged deltas by parameter, without `factor`.
    private let unscaled: [String: WeightDelta]
    /// The backbone that was merged before, if the adapters are those of tasks that are added to it.
    private let patches: (any ParameterSource)?

    /// The scale of the merge; of a distilled one, that of the merge that training started from.
    package var scale: Double { plan.merge.scale }

    /// The factor on the deltas. Those of a distilled merge have it in them.
    private var factor: Double { plan.distillation == nil ? plan.merge.scale : 1 }

    /// The merged deltas, by parameter; none of a backbone to which tasks are added.
    package var deltas: [String: WeightDelta] { unscaled.mapValues { $0.scaled(by: factor) } }

    /// Merges the adapters.
    ///
    /// - Parameter inputMoments: gives the moments of the layers' inputs for a method that uses images
    ///   (see `MergeTuner.inputMoments`).
    /// - Throws: `ModelError` when two adapters have one name, or a weight or a head is not finite; errors of the
    ///   method.
    package init(
        base: Checkpoint, adapters: [WeightedAdapter], merge: ConfiguredMethod,
        inputMoments: (_ task: String, _ modules: Set<String>) throws -> [String: Matrix] = { _, _ in [:] }
    ) throws {
        try Self.check(adapters)
        self.base = base
        self.adapters = adapters
        plan = MergePlan(merge: merge)
        let modules = Set(adapters.flatMap(\.adapter.modules))
        let tasks = try adapters.enumerated().map { index, item in
            try LongWork.part("computing deltas", index, of: adapters.count) {
                try item.adapter.deltas(
                    of: base, weight: item.weight,
                    inputMoments: merge.method.usesImages ? inputMoments(item.adapter.task, modules) : [:])
            }
        }
        unscaled = try merge.mergedAtScaleOne(tasks)
        patches = nil
    }

    /// The base with one adapter, as it was trained.
    ///
    /// - Throws: as `init(base:adapters:merge:inputMoments:)`.
    package init(alone adapter: Adapter, over base: Checkpoint) throws {
        try self.init(base: base, adapters: [WeightedAdapter(adapter)], merge: ConfiguredMethod(.taskArithmetic))
    }

    private init(_ other: MergedBackbone, _ plan: MergePlan, unscaled: [String: WeightDelta]) {
        (base, adapters, self.plan, self.unscaled) = (other.base, other.adapters, plan, unscaled)
        patches = other.patches
    }

    /// A backbone that was merged before, to which tasks are added: it computes the patch tokens that their streams
    /// read, and stays as it is.
    ///
    /// - Parameters:
    ///   - adapters: the adapters of the added tasks.
    ///   - patches: the backbone.
    ///   - base: the base of both.
    ///   - settings: how the tasks get their streams.
    /// - Throws: as `init(base:adapters:merge:inputMoments:)`.
    package init(
        adding adapters: [Adapter], to patches: any ParameterSource, over base: Checkpoint, _ settings: StreamSettings
    ) throws {
        let adapters = adapters.map { WeightedAdapter($0) }
        try Self.check(adapters)
        (self.base, self.adapters, self.patches, unscaled) = (base, adapters, patches, [:])
        plan = MergePlan(merge: try ConfiguredMethod(.base), streams: settings)
    }

    /// Checks that no name appears twice, and that weights and heads are finite.
    private static func check(_ adapters: [WeightedAdapter]) throws {
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
    }

    /// This merge after distillation.
    ///
    /// - Parameters:
    ///   - settings: how it was trained.
    ///   - deltas: what training added to it, by parameter.
    package func distilled(
        _ settings: DistillationSettings, adding deltas: [String: WeightDelta]
    ) -> MergedBackbone {
        let parts = [self.deltas, deltas].map { TaskVector(task: "", weight: 1, deltas: $0) }
        return MergedBackbone(
            self, MergePlan(merge: plan.merge, distillation: settings), unscaled: MergeMethod.weightedSum(parts))
    }

    /// The same merge, over which tasks get streams.
    package func withStreams(_ settings: StreamSettings) -> MergedBackbone {
        var plan = plan
        plan.streams = settings
        return MergedBackbone(self, plan, unscaled: unscaled)
    }

    /// The same merge at another scale, to the last bit what merging at that scale gives. The scale is the last factor
    /// of every method, so nothing else is computed again.
    ///
    /// - Throws: `ParameterError` when the scale is out of range; `ModelError` for a distilled merge, which has none.
    package func rescaled(to scale: Double) throws -> MergedBackbone {
        guard plan.distillation == nil else { throw ModelError(base.folder, "a distilled merge has no scale") }
        let merge = try plan.merge.setting(MergeMethod.scale.parameter, to: .number(scale))
        return MergedBackbone(self, MergePlan(merge: merge), unscaled: unscaled)
    }

    /// A parameter with the merged delta added: sums in double precision, rounded once.
    ///
    /// - Throws: `ModelError` when there is no such parameter, or the merge gives a value that is not finite.
    package func parameter(_ name: String) throws -> Tensor {
        if let patches { return try patches.parameter(name) }
        let original = try base.parameter(name)
        guard let delta = unscaled[name]?.scaled(by: factor) else { return original }
        let merged = original.adding(delta)
        guard merged.values.allSatisfy(\.isFinite) else {
            throw overflow(name, original)
        }
        return merged
    }

    /// Gives the memory behind the base's parameter back to the system.
    package func release(_ name: String) { (patches ?? base).release(name) }

    /// The error of a value that is not finite: of the adapter whose own delta is too large, or else of the merge.
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
    /// One adapter as it is: the sum of its delta alone, at weight 1.
    ///
    /// - Throws: `ModelError` when the adapter does not fit the base.
    package init(_ adapter: Adapter, aloneOver base: Checkpoint) throws {
        try self.init(
            base: base, adapters: [WeightedAdapter(adapter)], merge: ConfiguredMethod(.taskArithmetic))
    }
}
