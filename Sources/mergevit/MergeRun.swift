import Adapters
import Logging
import Tensors
import VisionTransformers

/// The steps of a merge in their order: measure what the method wants, merge, choose the scale, group, align.
struct MergeRun {
    private let base: Checkpoint
    private let adapters: [WeightedAdapter]
    private let method: MergeMethod
    private let settings: MergeSettings
    private let options: CalibrationOptions
    private let report: (String) -> Void
    private let calibrator: Calibrator?
    /// What was done with unlabelled images, for the recipe; nil when nothing was.
    private(set) var record: JSON?

    init(
        base: Checkpoint, adapters: [WeightedAdapter], method: (method: MergeMethod, settings: MergeSettings),
        options: CalibrationOptions, report: @escaping (String) -> Void, log: Logger
    ) throws {
        self.base = base
        self.adapters = adapters
        (self.method, settings) = method
        self.options = options
        self.report = report
        calibrator =
            options.isUsed || method.method.usesImages
            ? try options.calibrator(
                base: base, adapters: adapters, threads: LabelModelOptions.availableCores, log: log) : nil
    }

    /// The merged groups with their heads.
    ///
    /// - Parameter names: the groups that the user set, or nil.
    mutating func groups(named names: [[String]]?) throws -> [BundleGroup] {
        if let calibrator, let drop = options.maxDrop {
            let found = try calibrator.groups(of: adapters, maximumDrop: drop / 100, merge: merged)
            report(
                "\(found.merges.count) group\(found.merges.count == 1 ? "" : "s") for at most \(drop) % of other labels"
            )
            return try zip(found.merges, found.heads).map { try group($0, $1) }
        }
        let split = try names.map { try BundleGroup.split(adapters, into: $0) } ?? [adapters]
        return try split.map { adapters in
            let merged = try merged(adapters)
            guard let calibrator, options.align else { return try BundleGroup(merged) }
            return try group(merged, calibrator.align(merged, rank: options.alignRank))
        }
    }

    /// Some adapters merged, at the scale that suits them if it is to be chosen.
    private func merged(_ adapters: [WeightedAdapter]) throws -> MergedBackbone {
        let merged = try MergedBackbone(base: base, adapters: adapters, method: method, settings: settings) {
            try calibrator?.inputMoments(of: $0, modules: $1) ?? [:]
        }
        guard let calibrator, options.tune, !adapters.isEmpty else { return merged }
        let (best, divergences) = try calibrator.chooseScale(
            of: merged, among: CalibrationOptions.scales, aligning: options.align || options.maxDrop != nil)
        let names = adapters.map(\.adapter.task).joined(separator: ", ")
        let least = divergences.map(\.divergence).min() ?? 0
        report(
            "\(names): scale \(best.settings["scale"]), diverging \(Self.rounded(least)) nats from the single adapters")
        return best
    }

    /// A merge with its aligned heads, which are reported and recorded.
    private mutating func group(_ merged: MergedBackbone, _ results: [HeadAlignment.Result]) throws -> BundleGroup {
        var tasks = record?.objectValue?["tasks"]?.objectValue ?? [:]
        for result in results {
            let (before, after) = (
                Self.rounded(100 * result.before.sameLabel), Self.rounded(100 * result.after.sameLabel)
            )
            report(
                "\(result.head.task): aligned on \(result.images) images; labels as its single adapter's on \(before) % of "
                    + "the held-out before, \(after) % after")
            tasks[result.head.task] = .object([
                "images": .int(result.images), "ridge": .double(result.ridge),
                "same_label_before": .double(result.before.sameLabel), "same_label": .double(result.after.sameLabel),
                "divergence": .double(result.after.divergence),
            ])
        }
        record = .object(["tasks": .object(tasks)])
        return BundleGroup(merged, heads: results.map(\.head))
    }

    /// Two decimals.
    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
