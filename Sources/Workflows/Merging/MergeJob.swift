package import Adapters
import Files
import Tensors
package import Training
package import VisionTransformers

/// A merge of adapters into a bundle or an adapter, in the order of its steps: read images, merge, tune, group,
/// distill, align, write.
///
/// Parameters that a search chose are in the recipe, so a merge that is made again from one searches nothing.
package struct MergeJob {
    /// How tasks share backbones.
    package enum Grouping: Sendable, Equatable {
        /// All share one.
        case one
        /// A backbone for each of these groups of tasks.
        case named([[String]])
        /// The fewest groups with which each task keeps the labels of its single adapter on all but this percentage of
        /// the held-out images; heads are aligned.
        case fewest(maximumDrop: Double)
    }

    /// What is chosen on calibration images.
    package enum Tuning: Sendable, Equatable {
        /// Nothing.
        case none
        /// The scale, on few images: enough for the merge that distillation starts from.
        case roughScale
        /// The scale.
        case scale
        /// The scale and all parameters that can be searched but these.
        case parameters(except: Set<String>)
    }

    /// What is written.
    package enum Form: Sendable, Equatable {
        /// A bundle.
        case bundle
        /// A PEFT adapter over the unchanged base; its modules have at most this rank, if one is given.
        case adapter(rank: Int?, names: ModuleNames)
    }

    /// Where the merge is written.
    package struct Output: Sendable, Equatable {
        /// The folder.
        package let path: String
        /// What is written.
        package let form: Form
        /// Whether a folder of the same form, and checkpoints of another run, are replaced.
        package let replaces: Bool

        /// An output.
        package init(_ path: String, form: Form, replaces: Bool) {
            (self.path, self.form, self.replaces) = (path, form, replaces)
        }
    }

    /// How distillation runs; its settings are those of the plan.
    package struct DistillationRun: Sendable {
        /// How long each backbone is trained.
        package var length = Distillation.Length.steps
        /// Whether a run that was stopped is resumed.
        package var resumes = false
        /// Seconds between checkpoints.
        package var checkpointSeconds = 60.0
        /// Steps between checkpoints, or nil.
        package var checkpointSteps: Int?

        /// As many steps as the settings say, from the start.
        package init() {}
    }

    /// How a merge ended.
    package enum Outcome: Sendable {
        /// It was written.
        case finished(Result)
        /// `progress` told distillation to stop; a checkpoint is there if any steps were taken.
        case stopped(steps: Int, of: Int?)
    }

    /// A merge that was written.
    package struct Result: Sendable {
        /// The backbones with their heads.
        package let groups: [BundleGroup]
        /// What was written.
        package let written: Written
        /// The use of calibration images, if any were used.
        package let calibration: CalibrationUse?
        /// The tasks that a recipe added and removed after the merge.
        package let changes: TaskChanges
        /// The tasks that have a fit.
        package let fitted: [String]
    }

    /// What was written.
    package enum Written: Sendable {
        /// A bundle with these heads.
        case bundle([Head])
        /// An adapter.
        case adapter(AdapterWriter.Result)
    }

    /// The plan of a new merge, or the groups of a recipe.
    private enum Course {
        case new(MergePlan, Grouping, Tuning, CalibrationSettings?)
        case again(Recipe, threads: Int)
    }

    /// The scales that tuning chooses from.
    package static let scales = [
        0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.25, 1.5, 2, 2.5, 3,
    ]
    /// How many images of a task, fitted and held out, choose the scale.
    package static let tuningImages = 400
    /// How many do for the merge that distillation starts from.
    package static let roughTuningImages = 200

    let base: Checkpoint
    private let adapters: [WeightedAdapter]
    /// The adapters of the tasks that the recipe adds.
    private(set) var added: [Adapter] = []
    private let course: Course
    private let output: Output
    /// How a distilled merge is trained.
    package var distillationRun = DistillationRun()
    /// Images that no adapter saw, on which agreement is reported; nil for none.
    package var holdout: HoldoutSettings?
    /// Where the features of the base and of single adapters are kept for later commands; nil for nowhere.
    package var featureCache: FeatureCache.Settings?

    /// A new merge.
    ///
    /// - Parameter calibration: the images; needed for whatever uses images.
    package init(
        base: Checkpoint, adapters: [WeightedAdapter], plan: MergePlan, grouping: Grouping = .one,
        tuning: Tuning = .none, calibration: CalibrationSettings? = nil, output: Output
    ) {
        (self.base, self.adapters, self.output) = (base, adapters, output)
        course = .new(plan, grouping, tuning, calibration)
    }

    /// The merge of a recipe, from files that `Recipe.open` has verified.
    ///
    /// - Parameters:
    ///   - added: the adapters of tasks that the recipe adds.
    ///   - threads: how many images are computed at the same time.
    package init(
        again recipe: Recipe, base: Checkpoint, adapters: [WeightedAdapter], added: [Adapter], threads: Int,
        output: Output
    ) {
        (self.base, self.adapters, self.added, self.output) = (base, adapters, added, output)
        course = .again(recipe, threads: threads)
    }

    /// Merges and writes.
    ///
    /// - Parameter progress: told of events; distillation that is told to stop leaves a checkpoint.
    /// - Throws: `MergeJobError`; `ModelError`, `FileError`, `ModelError`, `ParameterError`, `MergeMethodError`,
    ///   `ModelError` naming what cannot be used. Nothing is left behind but checkpoints.
    package func run(progress: @escaping (MergeEvent) -> Bool) throws -> Outcome {
        do {
            try checkForm()
            try prepareCheckpoints()
            let cache = try featureCache.map { try FeatureCache($0) { _ = progress(.warning($0)) } }
            let observer = try holdoutImages(cache, progress)
            let images = try images(cache, progress)
            if let precision = images?.use.precision { _ = progress(.reducedPrecision(precision)) }
            var steps = MergeSteps(self, base: base, images: images, isAgain: isAgain, progress)
            var groups = try groups(&steps)
            var fits = try fits(of: groups, images, seen: steps.seen, progress)
            var recipe = try Recipe(
                groups.map(\.merged), order: adapters.map(\.adapter.task), calibration: steps.use)
            if let changes { groups = groups.map { $0.removing(changes.removed) } }
            try steps.report(groups, holdout: observer)
            if let changes {
                groups = groups.map { $0.renaming(changes.renamed) }
                fits = fits.map { $0?.changed(removing: changes.removed, renaming: changes.renamed) }
                recipe.changes = try addTasks(changes, to: &groups, &fits, holdout: observer, cache, progress)
                // Backbones that no task reads any more.
                let left = groups.indices.filter { !groups[$0].heads.isEmpty || changes.removed.isEmpty }
                (groups, fits) = (left.map { groups[$0] }, left.map { fits[$0] })
            }
            return .finished(try write(groups, fits, recipe, progress))
        } catch let stop as MergeSteps.Stopped { return .stopped(steps: stop.steps, of: stop.total) }
    }

    /// The names of the tasks.
    package var tasks: [String] {
        let merged = adapters.map(\.adapter.task)
        return merged + added.map(\.task).filter { !merged.contains($0) }
    }

    // MARK: Before merging

    private var isAgain: Bool { if case .again = course { true } else { false } }

    /// Checks that an adapter can hold what a recipe makes.
    private func checkForm() throws {
        guard case .adapter = output.form, case .again(let recipe, _) = course else { return }
        guard recipe.groups.allSatisfy({ $0.plan.streams == nil }) else { throw MergeJobError.streams }
        guard recipe.changes.isEmpty else { throw MergeJobError.changedTasks }
    }

    /// How many backbones are distilled.
    private var distilledGroups: Int {
        switch course {
        case .new(let plan, let grouping, _, _):
            guard plan.distillation != nil else { return 0 }
            if case .named(let names) = grouping { return names.count }
            return 1
        case .again(let recipe, _):
            return recipe.groups.contains { $0.plan.distillation != nil } ? recipe.groups.count : 0
        }
    }

    /// Where the checkpoints of a backbone are: those of the first beside the output.
    func checkpointPath(group: Int) -> String {
        guard group > 0 else { return output.path }
        return "\(SmallFiles.withoutTrailingSlashes(output.path)).group-\(group + 1)"
    }

    /// Checks, before a long run, the output and the checkpoints of earlier runs.
    ///
    /// - Throws: `UnfinishedRun` for a checkpoint that is neither resumed nor replaced.
    private func prepareCheckpoints() throws {
        guard distilledGroups > 0 else { return }
        switch output.form {
        case .bundle: try BundleWriter.check(output.path, replaces: output.replaces)
        case .adapter: try AdapterWriter.check(output.path, replaces: output.replaces)
        }
        guard !distillationRun.resumes else { return }
        for path in (0..<distilledGroups).map(checkpointPath) where CheckpointFolder.isThere(output: path) {
            guard output.replaces else { throw UnfinishedRun(path: CheckpointFolder.path(output: path)) }
            CheckpointFolder.remove(output: path)
        }
    }

    /// The images that the merge uses, with how it uses them, or nil.
    private func images(
        _ cache: FeatureCache?, _ progress: @escaping (MergeEvent) -> Bool
    ) throws -> (tuner: MergeTuner, use: CalibrationUse)? {
        let warn: (Warning) -> Void = { _ = progress(.warning($0)) }
        switch course {
        case .new(let plan, let grouping, let tuning, let settings):
            guard let settings else { return nil }
            let reader = try CalibrationReader(
                base, passes: settings.passes, views: plan.distillation, cache: cache, warn)
            var (align, drop) = (settings.alignment != nil, Double?.none)
            if case .fewest(let maximumDrop) = grouping { (align, drop) = (true, maximumDrop) }
            // An adapter holds the delta alone, so heads that read it otherwise have no place there.
            if plan.distillation != nil, output.form == .bundle { align = true }
            if plan.streams != nil, adapters.contains(where: { $0.adapter.head.readsMoreThanCLS(of: base) }) {
                align = true
            }
            return try reader.tuner(
                adapters, settings, align: align,
                tune: tuning == .none ? nil : settings.labelled.isEmpty ? .agreement : .labels, maximumDrop: drop)
        case .again(let recipe, let threads):
            guard let use = recipe.calibration else { return nil }
            let reader = try CalibrationReader(
                base, passes: use.passes(threads: threads),
                views: recipe.groups.lazy.compactMap(\.plan.distillation).first, cache: cache, warn)
            return (try reader.tuner(adapters, reader.images(again: use)), use)
        }
    }

    /// The fits of each group, as far as the merge makes any.
    ///
    /// - Parameter seen: what the backbones of some tasks made of all of the tasks' images.
    private func fits(
        of groups: [BundleGroup], _ images: (tuner: MergeTuner, use: CalibrationUse)?,
        seen: [String: CalibrationImages.Tables], _ progress: @escaping (MergeEvent) -> Bool
    ) throws -> [GroupFit?] {
        guard output.form == .bundle, let (tuner, use) = images, !use.fitted.isEmpty else {
            return groups.map { _ in nil }
        }
        let images = try use.fitted.map(tuner.images(of:))
        return try MergeFits(images, base: base, passes: tuner.passes, seen: seen) {
            _ = progress(.warning($0))
        }.fits(of: groups)
    }

    /// What compares the merge with its single adapters on images that are for nothing else, or nil.
    private func holdoutImages(
        _ cache: FeatureCache?, _ progress: @escaping (MergeEvent) -> Bool
    ) throws -> MergeTuner? {
        guard let holdout else { return nil }
        let passes = PassSettings(threads: holdout.threads)
        let reader = try CalibrationReader(base, passes: passes, views: nil, cache: cache) {
            _ = progress(.warning($0))
        }
        return try reader.observer(
            adapters + added.map { WeightedAdapter($0) }, reader.images(holdout, tasks: tasks))
    }

    // MARK: Merging

    private func groups(_ steps: inout MergeSteps) throws -> [BundleGroup] {
        switch course {
        case .new(let plan, .fewest(let maximumDrop), let tuning, _):
            return try steps.fewestGroups(of: adapters, plan.merge, tuning, maximumDrop: maximumDrop)
        case .new(let plan, let grouping, let tuning, _):
            var groups = [adapters]
            if case .named(let names) = grouping { groups = try BundleGroup.split(adapters, into: names) }
            return try groups.enumerated().map { index, adapters in
                try steps.group(adapters, plan, tuning, index: index)
            }
        case .again(let recipe, _):
            let groups = try BundleGroup.split(adapters, into: recipe.groups.map(\.tasks))
            return try zip(groups, recipe.groups.map(\.plan)).enumerated().map { index, group in
                try steps.group(group.0, group.1, .none, index: index)
            }
        }
    }

    /// How many images the merge of a recipe computes at the same time; nil for a new merge.
    var recipeThreads: Int? { if case .again(_, let threads) = course { threads } else { nil } }

    /// The changes of tasks after the merge, by the recipe.
    private var changes: TaskChanges? { if case .again(let recipe, _) = course { recipe.changes } else { nil } }

    private func write(
        _ groups: [BundleGroup], _ fits: [GroupFit?], _ recipe: Recipe, _ progress: (MergeEvent) -> Bool
    ) throws -> Result {
        func started(_ discard: @escaping @Sendable () -> Bool) { _ = progress(.writing(discard: discard)) }
        let written: Written
        switch output.form {
        case .bundle:
            written = .bundle(
                try BundleWriter.write(
                    groups: groups, fits: fits, order: adapters.isEmpty ? nil : recipe.tasks, recipe: recipe,
                    to: output.path, replaces: output.replaces, started: started))
        case .adapter(let rank, let names):
            guard groups.count == 1, let merged = groups.first?.merged else {
                throw MergeJobError.severalGroups(for: "an adapter")
            }
            written = .adapter(
                try AdapterWriter.write(
                    merged, to: output.path, rank: rank, names: names, calibration: recipe.calibration,
                    replaces: output.replaces, started: started))
        }
        for group in groups.indices { CheckpointFolder.remove(output: checkpointPath(group: group)) }
        let fitted = fits.compactMap(\.self).flatMap(\.tasks.keys)
        return Result(
            groups: groups, written: written, calibration: recipe.calibration, changes: recipe.changes,
            fitted: groups.flatMap { $0.heads.map(\.task) }.filter(fitted.contains))
    }
}
