import Adapters
import Evaluation
import Labelling
import Training
import VisionTransformers

/// Makes the merges of a study and measures them.
final class StudyMerging {
    /// What a merge's features depend on besides its tasks and method.
    private struct Setting: Hashable {
        let scale: Double
        let streams: Bool
    }

    private let job: StudyJob
    private let measurement: StudyEvaluator
    private let tuner: MergeTuner?
    /// The features that each task's adapter alone gives of its pictures, by the index of the task.
    private var single: [Int: FeatureTable]

    /// - Parameter single: the features of single adapters that are known.
    init(job: StudyJob, measurement: StudyEvaluator, tuner: MergeTuner?, single: [Int: FeatureTable]) {
        (self.job, self.measurement, self.tuner, self.single) = (job, measurement, tuner, single)
    }

    /// Merges some tasks' adapters and measures every variant on each task's pictures.
    ///
    /// Variants of one scale, with or without streams, are read off the same features.
    ///
    /// - Parameter progress: told after some image passes how many there were; what it throws ends the work.
    func results(_ merge: StudyPlan.Merge, progress: (_ images: Int) throws -> Void) throws -> [StudyResult] {
        let material = measurement.material
        let adapters = merge.tasks.map { WeightedAdapter(material.tasks[$0].adapter) }
        let method = try ConfiguredMethod(merge.variants[0].method)
        let merged = try MergeSteps.combined(adapters, by: method, over: material.base, tuner)
        let scales = try scales(of: merged, merge, progress)
        try merge.tasks.forEach { try computeSingle($0, progress) }
        var streams: [Double: [TaskStream]] = [:]
        var features: [Setting: StudyEvaluator.Features] = [:]
        return try zip(merge.variants, scales).map { variant, scale in
            let group = try MergeSteps.inOrder(
                combine: { merged }, scale: { variant.tunes ? try $0.rescaled(to: scale) : $0 },
                stream: { merged in
                    guard variant.streams, let tuner else { return nil }
                    let known = try streams[scale] ?? StreamFitter(tuner, StreamSettings()).streams(over: merged)
                    streams[scale] = known
                    return known
                },
                align: { merged, streams in
                    guard variant.aligns else { return nil }
                    return try tuner?.align(merged, streams: streams, progress: progress).map(\.head)
                })
            let setting = Setting(scale: scale, streams: variant.streams)
            let known = try features[setting] ?? self.features(of: group, merge.tasks, progress)
            features[setting] = known
            return StudyResult(
                variant: variant.name, tasks: merge.tasks.map { material.tasks[$0].name }, scale: scale,
                masks: zip(merge.tasks, group.heads).map { measurement.masks($1, known, task: $0) },
                agreements: zip(merge.tasks, group.heads).map { agreement($1, known, task: $0) })
        }
    }

    /// The features of a merge's pictures: of each task those of its stream, if there are streams.
    private func features(
        of group: BundleGroup, _ tasks: [Int], _ progress: (_ images: Int) throws -> Void
    ) throws -> StudyEvaluator.Features {
        let pictures = measurement.material.tasks
        guard let streams = group.streams else {
            let features = try measurement.features(group.merged, tasks: tasks) { _ in try progress(0) }
            try progress(tasks.reduce(0) { $0 + pictures[$1].pictures.pictures.count })
            return features
        }
        return try zip(tasks, streams).reduce(into: StudyEvaluator.Features(width: 0, tables: [:])) { all, item in
            let (task, stream) = item
            let features = try measurement.features(group.merged, tasks: [task], stream: stream) { _ in
                try progress(0)
            }
            try progress(pictures[task].pictures.pictures.count)
            all = StudyEvaluator.Features(
                width: features.width, tables: all.tables.merging(features.tables) { $1 })
        }
    }

    /// Computes the features of a task's adapter alone unless they are known.
    private func computeSingle(_ task: Int, _ progress: (_ images: Int) throws -> Void) throws {
        guard single[task] == nil else { return }
        let item = measurement.material.tasks[task]
        let alone = try MergedBackbone(item.adapter, aloneOver: measurement.material.base)
        single[task] = try measurement.features(alone, tasks: [task]) { _ in try progress(0) }.table(task)
    }

    /// How far a head's predictions are from those of the task's adapter alone.
    private func agreement(_ head: Head, _ features: StudyEvaluator.Features, task: Int) -> StudyAgreement {
        let own = measurement.material.tasks[task].adapter.head
        let empty = FeatureTable(rows: 0, width: features.width, values: [])
        let agreement = Agreement(
            head, features.table(task) ?? empty, teacher: own, single[task] ?? empty)
        return StudyAgreement(same: CorrectnessMask(agreement.same ?? []), divergence: agreement.divergence)
    }

    /// The scale of each variant of a merge.
    private func scales(
        of merged: MergedBackbone, _ merge: StudyPlan.Merge, _ progress: (_ images: Int) throws -> Void
    ) throws -> [Double] {
        let usual = merged.scale
        let tuned = merge.variants.filter(\.tunes)
        guard !tuned.isEmpty, let tuner else { return merge.variants.map { _ in usual } }
        // Changes that have nothing to do with one another add up like independent ones: the root keeps their norm.
        var chosen = try tuner.chooseScales(
            of: merged, among: job.scales, near: 1 / Double(merge.tasks.count).squareRoot(),
            aligning: tuned.map(\.aligns), limit: job.tuningImages, progress: progress)
        return merge.variants.map { $0.tunes ? chosen.removeFirst() : usual }
    }
}
