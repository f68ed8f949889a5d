import Adapters
import Evaluation
import Labelling
import Training
import VisionTransformers

/// Makes the merges of a study and measures them.
final class StudyMerging {
    private let job: StudyJob
    private let measurement: StudyEvaluator
    private let tuner: MergeTuner?

    init(job: StudyJob, measurement: StudyEvaluator, tuner: MergeTuner?) {
        (self.job, self.measurement, self.tuner) = (job, measurement, tuner)
    }

    /// Merges some tasks' adapters and measures every variant on each task's pictures.
    ///
    /// Variants whose scale is the same are read off the same features.
    ///
    /// - Parameter progress: told after some image passes how many there were; what it throws ends the work.
    func results(_ merge: StudyPlan.Merge, progress: (_ images: Int) throws -> Void) throws -> [StudyResult] {
        let material = measurement.material
        let adapters = merge.tasks.map { WeightedAdapter(material.tasks[$0].adapter) }
        let method = try ConfiguredMethod(merge.variants[0].method)
        let merged = try MergeSteps.combined(adapters, by: method, over: material.base, tuner)
        let scales = try scales(of: merged, merge, progress)
        var seen: [Double: StudyEvaluator.Features] = [:]
        return try zip(merge.variants, scales).map { variant, scale in
            let group = try MergeSteps.inOrder(
                combine: { merged }, scale: { variant.tunes ? try $0.rescaled(to: scale) : $0 },
                align: { merged, _ in variant.aligns ? try tuner?.align(merged, progress: progress).map(\.head) : nil })
            let features =
                try seen[scale] ?? measurement.features(group.merged, tasks: merge.tasks) { _ in try progress(0) }
            if seen.updateValue(features, forKey: scale) == nil {
                try progress(merge.tasks.reduce(0) { $0 + material.tasks[$1].pictures.pictures.count })
            }
            return StudyResult(
                variant: variant.name, tasks: merge.tasks.map { material.tasks[$0].name }, scale: scale,
                masks: zip(merge.tasks, group.heads).map { measurement.masks($1, features, task: $0) })
        }
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
