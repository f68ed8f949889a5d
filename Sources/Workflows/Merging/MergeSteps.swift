import Adapters
import Tensors
import Training
import VisionTransformers

/// The steps of a merge, and their order. Each does nothing where it is not asked for.
struct MergeSteps {
    /// Makes one backbone with its heads. A merge, and each merge of a study, takes these steps in this order.
    ///
    /// - Parameters:
    ///   - combine: combines adapters by a method, whose parameters may be chosen on images.
    ///   - scale: chooses the scale.
    ///   - distill: trains the merge.
    ///   - stream: gives tasks streams over the merge; nil for none.
    ///   - align: aligns the heads with the merge, or with their streams; nil keeps those of the adapters.
    static func inOrder(
        combine: () throws -> MergedBackbone, scale: (MergedBackbone) throws -> MergedBackbone,
        distill: (MergedBackbone) throws -> MergedBackbone = { $0 },
        stream: (MergedBackbone) throws -> [TaskStream]? = { _ in nil },
        align: (MergedBackbone, [TaskStream]?) throws -> [Head]?
    ) throws -> BundleGroup {
        let merged = try distill(scale(combine()))
        let streams = try stream(merged)
        guard let heads = try align(merged, streams) else { return try BundleGroup(merged, streams: streams) }
        return BundleGroup(merged, heads: heads, streams: streams)
    }

    /// Combines adapters by a method, without any choice.
    ///
    /// - Throws: `MergeJobError.noImages` for a method that uses images without a tuner, which has them.
    static func combined(
        _ adapters: [WeightedAdapter], by method: ConfiguredMethod, over base: Checkpoint, _ tuner: MergeTuner?
    ) throws -> MergedBackbone {
        if let tuner { return try tuner.merge(adapters, by: method) }
        guard !method.method.usesImages else { throw MergeJobError.noImages(method.method.name) }
        return try MergedBackbone(base: base, adapters: adapters, merge: method)
    }

    /// What ends a merge whose `progress` said to stop.
    struct Stopped: Error {
        let steps: Int
        let total: Int?
    }

    /// What distillation is a part of; nil where there is none.
    private let job: MergeJob?
    private let base: Checkpoint
    private let tuner: MergeTuner?
    /// The use of calibration images, with the alignments so far; nil when none are used.
    private(set) var use: CalibrationUse?
    /// The tasks whose heads a recipe says were not aligned; nil if that is to be decided.
    private let unaligned: Set<String>?
    /// What the merge made of all images of tasks that get fits, where alignment has computed it.
    private(set) var seen: [String: CalibrationImages.Tables] = [:]
    private let progress: (MergeEvent) -> Bool
    /// The tasks whose agreement on held-out images is reported.
    private var reported: Set<String> = []

    init(
        _ job: MergeJob?, base: Checkpoint, images: (tuner: MergeTuner, use: CalibrationUse)?, isAgain: Bool,
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

    /// One backbone of a merge with its heads.
    mutating func group(
        _ adapters: [WeightedAdapter], _ plan: MergePlan, _ tuning: MergeJob.Tuning, index: Int
    ) throws -> BundleGroup {
        var fitted: [TaskStream]?
        return try Self.inOrder(
            combine: { try combined(adapters, plan.merge, tuning) }, scale: { try scaled($0, tuning) },
            distill: { merged in
                guard let settings = plan.streams else {
                    return try plan.distillation.map { try distilled(merged, $0, group: index) } ?? merged
                }
                guard let distillation = plan.distillation else { return merged.withStreams(settings) }
                let trained = try distilled(merged, distillation, settings, group: index)
                fitted = trained.streams
                return trained.merged
            },
            stream: { merged in try fitted ?? merged.plan.streams.map { try streams(over: merged, $0) } },
            align: { try aligned($0, $1) })
    }

    /// The streams and heads of tasks that are added to a backbone, which was merged before.
    mutating func added(_ tasks: MergedBackbone) throws -> BundleGroup {
        try Self.inOrder(
            combine: { tasks }, scale: { $0 }, stream: { try $0.plan.streams.map { try streams(over: tasks, $0) } },
            align: { try aligned($0, $1) })
    }

    /// A merge whose patch tokens are trained for its streams, and the streams, fitted again; or the merge as it was
    /// if held-out images gain nothing.
    private func distilled(
        _ start: MergedBackbone, _ settings: DistillationSettings, _ streamSettings: StreamSettings, group: Int
    ) throws -> (merged: MergedBackbone, streams: [TaskStream]) {
        /// The divergence of each task on held-out images, with aligned heads.
        func divergences(_ merged: MergedBackbone, _ streams: [TaskStream]) throws -> [Double] {
            guard let tuner, let use else { throw MergeJobError.noImages(DistillationSettings.name) }
            return try tuner.align(
                merged, streams: streams, rank: use.alignRank, limit: MergeJob.roughTuningImages
            ).map(\.agreement.divergence)
        }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        let before = try streams(over: start, streamSettings)
        let divergencesBefore = try divergences(start, before)
        let trained = try distilled(
            start, settings, .init(streamSettings, before, divergences: divergencesBefore), group: group)
        let after = try streams(over: trained, streamSettings)
        let change = (before: mean(divergencesBefore), after: mean(try divergences(trained, after)))
        let isBetter = change.after < change.before
        try tell(.distillationChange(before: change.before, after: change.after))
        let merged = try isBetter ? trained : start.distilled(settings.taking(steps: 0), adding: [:])
        return (merged.withStreams(streamSettings), isBetter ? after : before)
    }

    /// The streams of a merge's tasks, with token maps if there are images.
    private func streams(over merged: MergedBackbone, _ settings: StreamSettings) throws -> [TaskStream] {
        guard let tuner else {
            for adapter in merged.adapters.map(\.adapter) where adapter.head.readsMoreThanCLS(of: base) {
                throw ModelError(
                    adapter.path,
                    "the head reads more than CLS, which is all that a stream gives; with images of the task it is "
                        + "aligned with CLS alone", remedy: AdapterRemedy.giveImages)
            }
            return try merged.adapters.map { try TaskStream($0.adapter, over: base) }
        }
        return try StreamFitter(tuner, settings).streams(over: merged)
    }

    private func merge(_ adapters: [WeightedAdapter], _ method: ConfiguredMethod) throws -> MergedBackbone {
        try Self.combined(adapters, by: method, over: base, tuner)
    }

    /// Adapters combined by a method, with parameters that images choose if they are to be tuned.
    private func combined(
        _ adapters: [WeightedAdapter], _ method: ConfiguredMethod, _ tuning: MergeJob.Tuning
    ) throws -> MergedBackbone {
        guard let tuner, let use, case .parameters(let fixed) = tuning, !adapters.isEmpty else {
            return try merge(adapters, method)
        }
        return try merge(
            adapters,
            tuner.chooseParameters(
                from: method, fixed: fixed, scales: MergeJob.scales, aligning: use.align, rank: use.alignRank
            ) { try merge(adapters, $0) })
    }

    /// A merge at the scale that images choose, if it is to be tuned.
    private func scaled(_ merged: MergedBackbone, _ tuning: MergeJob.Tuning) throws -> MergedBackbone {
        guard let tuner, let use, tuning != .none, !merged.adapters.isEmpty else { return merged }
        let isRough = tuning == .roughScale
        let (best, losses) = try tuner.chooseScale(
            of: merged, among: MergeJob.scales, aligning: use.align, rank: use.alignRank,
            limit: isRough ? MergeJob.roughTuningImages : MergeJob.tuningImages)
        guard !isRough else { return best }
        var parameters = [MergeMethod.scale.parameter]
        if case .parameters = tuning {
            parameters += merged.plan.merge.method.parameters.filter { !$0.candidates.isEmpty }
        }
        try tell(
            .tuned(
                tasks: merged.adapters.map(\.adapter.task), merge: best.plan.merge, parameters: parameters,
                loss: losses.map(\.loss).min() ?? 0))
        return best
    }

    /// The fewest groups that keep the labels of the single adapters, with their aligned heads.
    mutating func fewestGroups(
        of adapters: [WeightedAdapter], _ method: ConfiguredMethod, _ tuning: MergeJob.Tuning, maximumDrop: Double
    ) throws -> [BundleGroup] {
        guard let tuner else { throw MergeJobError.noImages("grouping") }
        let grouping = try tuner.groups(of: adapters, maximumDrop: maximumDrop / 100, summarizing: fitted) {
            adapters, scale in
            guard tuning != .none else { return try merge(adapters, method) }
            switch scale {
            case .given(let scale): return try merge(adapters, method).rescaled(to: scale)
            case .near(let limit):
                return try tuner.chooseScale(
                    of: merge(adapters, method), among: MergeJob.scales, aligning: use?.align ?? true,
                    rank: use?.alignRank, limit: limit
                ).best
            case .best: return try scaled(combined(adapters, method, tuning), tuning)
            }
        }
        try tell(.grouped(count: grouping.merges.count, maximumDrop: maximumDrop))
        return try zip(grouping.merges, grouping.heads).map { BundleGroup($0, heads: try heads($1)) }
    }

    /// A merge after its distillation.
    ///
    /// - Parameter streams: the streams that it is trained for, or nil.
    private func distilled(
        _ start: MergedBackbone, _ settings: DistillationSettings,
        _ streams: Distillation.FittedStreams? = nil, group: Int
    ) throws -> MergedBackbone {
        guard let tuner, let use, let job else { throw MergeJobError.noImages(DistillationSettings.name) }
        var distillation = Distillation(tuner, settings: settings, output: job.checkpointPath(group: group))
        let run = job.distillationRun
        distillation.length = run.length
        distillation.resumes = run.resumes
        distillation.checkpointSeconds = run.checkpointSeconds
        distillation.checkpointSteps = run.checkpointSteps
        try tell(.distillationBegins)
        let images = Dictionary(use.images.map { ($0.task, $0.binding) }) { $1 }
        let outcome = try distillation.train(start, streams: streams, images: images) { progress(.distillation($0)) }
        switch outcome {
        case .stopped(let steps, let total): throw Stopped(steps: steps, total: total)
        case .finished(let merged):
            let steps = merged.plan.distillation?.steps ?? 0
            try tell(.distillationEnded, steps: steps, total: steps)
            return merged
        }
    }

    /// The tasks that get fits.
    private var fitted: Set<String> { Set(use?.fitted ?? []) }

    /// The heads of a merge's tasks aligned with it; nil if they are not to be aligned.
    private mutating func aligned(_ merged: MergedBackbone, _ streams: [TaskStream]?) throws -> [Head]? {
        guard let tuner, let use, use.align else { return nil }
        return try heads(
            tuner.align(
                merged, streams: streams, rank: use.alignRank, leaving: unaligned, summarizing: fitted))
    }

    /// The heads of alignments, which are reported and recorded.
    private mutating func heads(_ results: [HeadAlignment.Result]) throws -> [Head] {
        for result in results {
            try tell(.aligned(result))
            try report(result.head.task, result.agreement)
            seen[result.head.task] = result.seen
        }
        use?.add(results)
        return results.map(\.head)
    }

    // MARK: Reports

    /// Tells how well a task agrees with its single adapter on held-out images.
    private mutating func report(_ task: String, _ agreement: Agreement) throws {
        guard let images = try tuner?.images(of: task), reported.insert(task).inserted else { return }
        let areDrawn = use?.images.first { $0.task == task }?.areDrawn == true
        let groups = images.indices(heldOut: true).map { images.groups.groups[$0] }
        let report = AgreementReport(task, areDrawn ? .heldOutDrawn : .heldOut, agreement, groups: groups)
        if let report { try tell(.agreement(report)) }
    }

    /// Tells how well the tasks of some groups agree with their single adapters: on held-out calibration images, unless
    /// their alignment told it, and on the images that are for nothing else.
    mutating func report(_ groups: [BundleGroup], holdout: MergeTuner?) throws {
        for group in groups {
            let tasks = group.merged.adapters.map(\.adapter.task)
            if let tuner, !reported.isSuperset(of: tasks) {
                for item in try tuner.agreements(of: group, heldOut: true) { try report(item.task, item.agreement) }
            }
            guard let holdout else { continue }
            for item in try holdout.agreements(of: group, heldOut: false) {
                let groups = try holdout.images(of: item.task).groups.groups
                let report = AgreementReport(item.task, .holdout, item.agreement, groups: groups)
                if let report { try tell(.agreement(report)) }
            }
        }
    }
}

extension Head {
    /// Whether the head reads more than CLS, which is all that a stream gives: it then has to be aligned.
    func readsMoreThanCLS(of base: Checkpoint) -> Bool { weight.shape[1] > base.configuration.hiddenSize }
}
