import Adapters
import Files
import VisionTransformers

extension MergeJob {
    /// Adds the tasks that the recipe adds after the merge.
    ///
    /// - Parameter fits: those of each group, to which the fits of added tasks are added.
    /// - Returns: the changes, with the adapters and images as they are found now.
    func addTasks(
        _ changes: TaskChanges, to groups: inout [BundleGroup], _ fits: inout [GroupFit?], holdout: MergeTuner?,
        _ cache: FeatureCache?, _ progress: @escaping (MergeEvent) -> Bool
    ) throws -> TaskChanges {
        guard let threads = recipeThreads, !added.isEmpty else { return changes }
        let merged = groups[0].merged
        return try changes.replacingAdditions { index, addition in
            let adapter = added[index]
            let passes = addition.calibration?.passes(threads: threads) ?? PassSettings(threads: threads)
            let reader = try CalibrationReader(base, passes: passes, views: nil, cache: cache) {
                _ = progress(.warning($0))
            }
            let images = try addition.calibration.map { try reader.images(again: $0) }
            var use = addition.calibration
            var group = 0
            switch addition.form {
            case .merge: groups[0] = groups[0].adding(BundleGroup(merged, heads: [adapter.head]))
            case .own:
                groups.append(try BundleGroup(MergedBackbone(alone: adapter, over: base)))
                fits.append(nil)
                group = groups.count - 1
            case .stream(let settings):
                guard groups.count == 1 else { throw MergeJobError.severalGroups(for: "tasks added with streams") }
                let calibration = try images.flatMap { images in
                    try use.map { (tuner: try reader.tuner([WeightedAdapter(adapter)], images), use: $0) }
                }
                var steps = MergeSteps(nil, base: base, images: calibration, isAgain: true, progress)
                let tasks = try MergedBackbone(adding: [adapter], to: merged, over: base, settings)
                let added = try steps.added(tasks)
                try steps.report([added], holdout: holdout)
                groups[0] = groups[0].adding(added)
                use = steps.use
            }
            if let images, use?.fitted.isEmpty == false {
                try addFit(addition, images, by: groups[group].merged, to: &fits[group], passes, progress)
            }
            return try .init(adapter, addition.form, calibration: use)
        }
    }

    /// Makes the fit of an added task again, where it is compared with the others as it was.
    private func addFit(
        _ addition: TaskChanges.Addition, _ images: [CalibrationImages], by backbone: MergedBackbone,
        to fit: inout GroupFit?, _ passes: PassSettings, _ progress: @escaping (MergeEvent) -> Bool
    ) throws {
        let warn: (Warning) -> Void = { _ = progress(.warning($0)) }
        guard fit != nil || addition.form == .own else {
            return warn(
                "\(addition.task): its fit was compared with fits that are not in the recipe, so it is left out")
        }
        let isStream = if case .stream = addition.form { true } else { false }
        let added = try MergeFits(images, base: base, passes: passes, warn)
            .fits(addedTo: backbone, background: fit?.background, regrouping: isStream)
        fit = fit?.adding(added) ?? added
    }
}
