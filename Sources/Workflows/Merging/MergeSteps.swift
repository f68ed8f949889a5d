import Adapters
import Training
import VisionTransformers

/// The steps of a merge, of which `MergeJob` knows the order; each does nothing where it is not asked for.
struct MergeSteps {
    /// What ends a merge whose `progress` said to stop.
    struct Stopped: Error {
        let steps: Int
        let total: Int?
    }

    private let job: MergeJob
    private let base: Checkpoint
    private let tuner: MergeTuner?
    /// The use of calibration images, with the alignments so far; nil when none are used.
    private(set) var use: CalibrationUse?
    /// The tasks whose heads a recipe says were not aligned; nil if that is to be decided.
    private let unaligned: Set<String>?
    private let progress: (MergeEvent) -> Bool

    init(
        _ job: MergeJob, base: Checkpoint, images: (tuner: MergeTuner, use: CalibrationUse)?, isAgain: Bool,
        _ progress: @escaping (MergeEvent) -> Bool
    ) {
        (self.job, self.base, self.progress) = (job, base, progress)
        tuner = images?.tuner
        use = images?.use.withoutAlignments
        unaligned = isAgain ? images?.use.unalignedTasks : nil
    }

    /// Tells of an event.
    ///
    /// - Throws: `Stopped` when the answer is to stop.
    private func tell(_ event: MergeEvent, steps: Int = 0, total: Int? = nil) throws {
        guard progress(event) else { throw Stopped(steps: steps, total: total) }
    }

    func merge(_ adapters: [WeightedAdapter], _ method: ConfiguredMethod) throws -> MergedBackbone {
        guard let tuner else {
            guard !method.method.usesImages else { throw MergeJobError.noImages(method.method.name) }
            return try MergedBackbone(base: base, adapters: adapters, merge: method)
        }
        return try tuner.merge(adapters, by: method)
    }

    /// A merge with the scale, and the other parameters, that images choose.
    func tuned(
        _ adapters: [WeightedAdapter], _ method: ConfiguredMethod, _ tuning: MergeJob.Tuning
    ) throws -> MergedBackbone {
        guard let tuner, let use, tuning != .none, !adapters.isEmpty else { return try merge(adapters, method) }
        func choose(_ method: ConfiguredMethod, limit: Int) throws -> (best: MergedBackbone, losses: [(Double, Double)])
        {
            try tuner.chooseScale(
                of: merge(adapters, method), among: MergeJob.scales, aligning: use.align, rank: use.alignRank,
                limit: limit)
        }
        var (start, parameters) = (method, [MergeMethod.scale.parameter])
        switch tuning {
        case .none, .scale: break
        case .roughScale: return try choose(method, limit: MergeJob.roughTuningImages).best
        case .parameters(let fixed):
            parameters += method.method.parameters.filter { !$0.candidates.isEmpty }
            start = try tuner.chooseParameters(
                from: method, fixed: fixed, scales: MergeJob.scales, aligning: use.align, rank: use.alignRank
            ) { try merge(adapters, $0) }
        }
        let (best, losses) = try choose(start, limit: MergeJob.tuningImages)
        try tell(
            .tuned(
                tasks: adapters.map(\.adapter.task), merge: best.plan.merge, parameters: parameters,
                loss: losses.map(\.1).min() ?? 0))
        return best
    }

    /// The fewest groups that keep the labels of the single adapters, with their aligned heads.
    mutating func fewestGroups(
        of adapters: [WeightedAdapter], _ method: ConfiguredMethod, _ tuning: MergeJob.Tuning, maximumDrop: Double
    ) throws -> [BundleGroup] {
        guard let tuner else { throw MergeJobError.noImages("grouping") }
        let grouping = try tuner.groups(of: adapters, maximumDrop: maximumDrop / 100) { adapters, scale in
            guard tuning != .none else { return try merge(adapters, method) }
            switch scale {
            case .given(let scale): return try merge(adapters, method).rescaled(to: scale)
            case .near(let limit):
                return try tuner.chooseScale(
                    of: merge(adapters, method), among: MergeJob.scales, aligning: use?.align ?? true,
                    rank: use?.alignRank, limit: limit
                ).best
            case .best: return try tuned(adapters, method, tuning)
            }
        }
        try tell(.grouped(count: grouping.merges.count, maximumDrop: maximumDrop))
        return try zip(grouping.merges, grouping.heads).map { try group($0, $1) }
    }

    /// A merge after distillation and alignment.
    mutating func finished(
        _ merged: MergedBackbone, _ distillation: DistillationSettings?, group index: Int
    ) throws -> BundleGroup {
        let merged = try distillation.map { try distilled(merged, $0, group: index) } ?? merged
        guard let tuner, let use, use.align else { return try BundleGroup(merged) }
        return try group(merged, tuner.align(merged, rank: use.alignRank, leaving: unaligned))
    }

    private func distilled(
        _ start: MergedBackbone, _ settings: DistillationSettings, group: Int
    ) throws -> MergedBackbone {
        guard let tuner, let use else { throw MergeJobError.noImages(DistillationSettings.name) }
        var distillation = Distillation(tuner, settings: settings, output: job.checkpointPath(group: group))
        let run = job.distillationRun
        distillation.length = run.length
        distillation.resumes = run.resumes
        distillation.checkpointSeconds = run.checkpointSeconds
        distillation.checkpointSteps = run.checkpointSteps
        try tell(.distillationBegins)
        let images = Dictionary(use.images.map { ($0.task, $0.sha256) }) { $1 }
        switch try distillation.train(start, images: images, progress: { progress(.distillation($0)) }) {
        case .stopped(let steps, let total): throw Stopped(steps: steps, total: total)
        case .finished(let merged):
            let steps = merged.plan.distillation?.steps ?? 0
            try tell(.distillationEnded, steps: steps, total: steps)
            return merged
        }
    }

    /// A merge with its aligned heads, which are told of and recorded.
    private mutating func group(
        _ merged: MergedBackbone, _ results: [HeadAlignment.Result]
    ) throws -> BundleGroup {
        for result in results { try tell(.aligned(result)) }
        use?.add(results)
        return BundleGroup(merged, heads: results.map(\.head))
    }
}
