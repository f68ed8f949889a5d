package import Adapters
import Files
package import VisionTransformers

/// Adds tasks to a bundle with streams. Their streams are made over the patch tokens of the bundle, from their own
/// adapters and images alone, as `MergeJob` makes them; nothing of the other tasks changes.
package struct TaskAdditionJob {
    /// What is said of tasks that were added.
    package struct Result: Sendable {
        /// The heads of the added tasks.
        package let added: [Head]
        /// The heads of all tasks, in the order of the bundle.
        package let heads: [Head]
        /// The added tasks that have a fit.
        package let fitted: [String]
    }

    private let bundle: EditedBundle
    private let base: Checkpoint
    private let adapters: [Adapter]
    private let settings: StreamSettings
    private let calibration: CalibrationSettings?
    private let output: MergeJob.Output
    /// Images that no adapter saw, on which agreement is reported; nil for none.
    package var holdout: HoldoutSettings?
    /// Where the features of the base and of single adapters are kept for later commands; nil for nowhere.
    package var featureCache: FeatureCache.Settings?

    /// An addition.
    ///
    /// - Parameters:
    ///   - base: the bundle's.
    ///   - adapters: of the tasks, in their order.
    ///   - settings: how their streams are made; nil for as those of the merge.
    ///   - calibration: the images that streams are fitted on and heads aligned on; nil for neither.
    ///   - output: where the bundle is written, which may be its own place.
    package init(
        bundle: EditedBundle, base: Checkpoint, adapters: [Adapter], settings: StreamSettings?,
        calibration: CalibrationSettings?, output: MergeJob.Output
    ) {
        (self.bundle, self.base, self.adapters, self.calibration) = (bundle, base, adapters, calibration)
        self.settings = settings ?? bundle.streamSettings ?? StreamSettings()
        self.output = output
    }

    /// Adds the tasks and writes the bundle.
    ///
    /// - Parameter progress: told of events, as in `MergeJob.run`.
    /// - Throws: `ModelError` and other errors naming what cannot be used. Nothing is left behind.
    package func run(progress: @escaping (MergeEvent) -> Bool) throws -> Result {
        try bundle.check(adding: adapters.map(\.task))
        try BundleWriter.check(output.path, replaces: output.replaces)
        let weighted = adapters.map { WeightedAdapter($0) }
        let warn: (Warning) -> Void = { _ = progress(.warning($0)) }
        let cache = try featureCache.map { try FeatureCache($0, warn) }
        func reader(_ passes: PassSettings) throws -> CalibrationReader {
            try CalibrationReader(base, passes: passes, views: nil, cache: cache, warn)
        }
        let observer = try holdout.map { holdout in
            let reader = try reader(PassSettings(threads: holdout.threads))
            return try reader.observer(weighted, reader.images(holdout, tasks: adapters.map(\.task)))
        }
        let images = try calibration.map { settings in
            try reader(settings.passes).tuner(
                weighted, settings,
                align: settings.alignment != nil || adapters.contains { $0.head.readsMoreThanCLS(of: base) })
        }
        if let precision = images?.use.precision { _ = progress(.reducedPrecision(precision)) }
        var steps = MergeSteps(nil, base: base, images: images, isAgain: false, progress)
        let group = try steps.added(MergedBackbone(adding: adapters, to: bundle.patches, over: base, settings))
        try steps.report([group], holdout: observer)
        var use = steps.use
        let fit = try images.flatMap { try self.fit(&use, $0.tuner, warn) }
        var edited = bundle
        try edited.add(group, calibration: use, fit: fit)
        let heads = try edited.write(to: output.path, replaces: output.replaces) { discard in
            _ = progress(.writing(discard: discard))
        }
        return Result(added: group.heads, heads: heads, fitted: use?.fitted ?? [])
    }

    /// The fits of the added tasks, if the others have some, with which they are compared; else no task has one.
    private func fit(
        _ use: inout CalibrationUse?, _ tuner: MergeTuner, _ warn: @escaping (Warning) -> Void
    ) throws -> GroupFit? {
        guard let fitted = use?.fitted, !fitted.isEmpty else { return nil }
        guard let background = bundle.background else {
            use?.fitted = []
            warn(.withoutOtherFits(fitted))
            return nil
        }
        return try MergeFits(fitted.map(tuner.images(of:)), base: base, passes: tuner.passes, warn)
            .fits(addedTo: bundle.patches, background: background, regrouping: true)
    }
}

extension Warning {
    /// Says that added tasks get no fit, as the bundle's other tasks have none.
    static func withoutOtherFits(_ tasks: [String]) -> Warning {
        Warning(
            "no fit of \(tasks.joined(separator: ", ")): the bundle's other tasks have none to compare it with",
            remedy: FitRemedy.fitTogether)
    }
}

/// What can be done about a task without a fit.
package enum FitRemedy: Remedy {
    /// Fit all tasks together.
    case fitTogether
}
