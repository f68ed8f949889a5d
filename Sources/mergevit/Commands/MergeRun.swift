import Adapters
import Logging
import VisionTransformers

/// The steps of a merge in their order: measure what the method wants, merge, choose the scale, group, train, align.
struct MergeRun {
    private let base: Checkpoint
    private let adapters: [WeightedAdapter]
    private let report: (String) -> Void
    /// The parameters that are not to be searched; nil if none is but the scale.
    private let fixed: Set<String>?
    private let calibrator: Calibrator?
    /// Trains the merges of a method that trains; nil for others.
    private let trainer: DistillRunner?
    /// What was done with calibration images, for the recipe; nil when nothing was.
    private(set) var record: CalibrationRecord?

    init(
        base: Checkpoint, adapters: [WeightedAdapter], calibration: (Calibrator, CalibrationRecord)?,
        trainer: DistillRunner? = nil, fixed: Set<String>? = nil, report: @escaping (String) -> Void
    ) {
        (self.base, self.adapters, self.fixed, self.report) = (base, adapters, fixed, report)
        self.trainer = trainer
        (calibrator, record) = (calibration?.0, calibration?.1)
    }

    /// The merged groups with their heads.
    ///
    /// - Parameter names: the groups that the user set, or nil.
    mutating func groups(
        named names: [[String]]?, _ choice: MethodOptions.Choice
    ) throws -> [BundleGroup] {
        let rule = choice.start ?? choice.rule
        if let calibrator, let drop = record?.maxDrop {
            let found = try calibrator.groups(of: adapters, maximumDrop: drop / 100) { adapters, scale in
                try tuned(adapters, rule, scale)
            }
            let count = found.merges.count
            report("\(count) group\(count == 1 ? "" : "s") for at most \(drop) % of other labels")
            return zip(found.merges, found.heads).map { group($0, $1) }
        }
        let split = try names.map { try BundleGroup.split(adapters, into: $0) } ?? [adapters]
        // A start is only a start: a look at some images tells its scale well enough, unless more is asked for.
        let wanted = choice.start == nil || choice.isTuned ? GroupScale.best : .near(limit: Self.startImages)
        return try split.enumerated().map { index, adapters in
            let merged = try tuned(adapters, rule, wanted)
            return try aligned(choice.start == nil ? merged : trained(merged, choice.rule, group: index))
        }
    }

    /// The groups that a recipe tells of, merged as it says.
    mutating func groups(again recorded: [RecordedMerge.Group]) throws -> [BundleGroup] {
        let split = try BundleGroup.split(adapters, into: recorded.map(\.tasks))
        return try zip(split, recorded).enumerated().map { index, group in
            let (adapters, recorded) = group
            guard let start = recorded.start else { return try aligned(merge(adapters, recorded.rule)) }
            return try aligned(trained(merge(adapters, start), recorded.rule, group: index))
        }
    }

    /// How many images of a task, fitted and held out, choose the scale of a merge that is then trained.
    private static let startImages = 200

    /// What training makes of a merge.
    private func trained(_ start: MergedBackbone, _ rule: MergeRule, group: Int) throws -> MergedBackbone {
        guard let trainer, let calibrator, let record else {
            throw ModelError(base.folder, "\(rule.method.name) needs calibration images")
        }
        return try trainer.train(start, rule, calibrator, record, group: group)
    }

    private func merge(
        _ adapters: [WeightedAdapter], _ rule: MergeRule
    ) throws -> MergedBackbone {
        try MergedBackbone(base: base, adapters: adapters, method: rule.method, settings: rule.settings) {
            try calibrator?.inputMoments(of: $0, modules: $1) ?? [:]
        }
    }

    /// A merge at the scale, and with the parameters, that suit it if those are to be chosen.
    private func tuned(
        _ adapters: [WeightedAdapter], _ rule: MergeRule, _ wanted: GroupScale = .best
    ) throws -> MergedBackbone {
        let method = rule.method
        guard let calibrator, let record, record.tune != nil, !adapters.isEmpty else {
            return try merge(adapters, rule)
        }
        func choose(_ settings: MergeSettings, limit: Int) throws -> (best: MergedBackbone, losses: [(Double, Double)])
        {
            try calibrator.chooseScale(
                of: merge(adapters, MergeRule(method, settings)), among: CalibrationOptions.scales,
                aligning: record.align,
                rank: record.alignRank, limit: limit)
        }
        switch wanted {
        case .given(let scale): return try merge(adapters, rule).rescaled(to: scale)
        case .near(let limit): return try choose(rule.settings, limit: limit).best
        case .best: break
        }
        var settings = rule.settings
        if let fixed {
            settings = try calibrator.chooseParameters(
                of: method, from: settings, fixed: fixed, scales: CalibrationOptions.scales, aligning: record.align,
                rank: record.alignRank
            ) { try merge(adapters, MergeRule(method, $0)) }
        }
        let (best, losses) = try choose(settings, limit: CalibrationOptions.tuningImages)
        let chosen = method.parameters.filter { $0.name == "scale" || (fixed != nil && !$0.candidates.isEmpty) }
        let values = chosen.map { "\($0.name) \(best.settings[$0.name])" }.joined(separator: ", ")
        let tasks = adapters.map(\.adapter.task).joined(separator: ", ")
        report("\(tasks): \(values), a loss of \(Self.rounded(losses.map(\.1).min() ?? 0)) nats on held-out images")
        return best
    }

    /// A merge with its heads, aligned if they are to be.
    private mutating func aligned(_ merged: MergedBackbone) throws -> BundleGroup {
        guard let calibrator, let record, record.align else { return try BundleGroup(merged) }
        return group(merged, try calibrator.align(merged, rank: record.alignRank, keeping: record.keptHeads))
    }

    /// A merge with its aligned heads, which are reported and recorded.
    private mutating func group(_ merged: MergedBackbone, _ results: [HeadAlignment.Result]) -> BundleGroup {
        for result in results {
            let (before, after) = (
                Self.rounded(100 * result.before.sameLabel), Self.rounded(100 * result.after.sameLabel)
            )
            let (name, images) = (result.head.task, result.images)
            let isValue = result.head.activation == .identity
            let share =
                isValue
                ? "R² with its single adapter's values \(before / 100) on the held-out"
                : "labels as its single adapter's on \(before) % of the held-out"
            let aligned = isValue ? "\(after / 100)" : "\(after) %"
            report(
                result.isKept
                    ? "\(name): not aligned: \(share) as it is, \(aligned) aligned on \(images) images"
                    : "\(name): aligned on \(images) images; \(share) before, \(aligned) after")
        }
        record?.add(results)
        return BundleGroup(merged, heads: results.map(\.head))
    }

    /// Two decimals.
    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
