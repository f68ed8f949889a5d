import Adapters
import ArgumentParser
import Labelling
import Logging
import Training
import VisionTransformers
import Workflows

/// `mergevit merge`.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into one backbone and write a bundle.",
        discussion: """
            Each adapter is a PEFT folder, or a folder or .safetensors file with only a head. Every task keeps its own \
            head and class names; the backbone is the base plus the merged deltas.

            With unlabelled images (--calibration), heads are aligned with the merged backbone (--align), the scale is \
            chosen (--tune), tasks that interfere get separate backbones (--max-drop), and label tells how well an \
            image fits each task, as after fit. --method distill trains the \
            merge until it predicts what the single adapters predict, and aligns its heads; --resume continues an \
            interrupted run, and the result is byte-identical to an uninterrupted one.

            --recipe repeats a merge from the same files. --as adapter writes a PEFT folder with the merged delta. \
            --force also accepts adapters that were trained over another base, with a warning, and discards an \
            interrupted run.

            Example:
              mergevit merge --base vit-base --adapter birds=adapters/birds --adapter cars=adapters/cars -o model

            Exit codes: 0 written; 2 wrong usage; 3 the base, an adapter or the output cannot be used; 130 or 143 \
            stopped by a signal.
            """)

    @OptionGroup(title: "Required") var target: OutputFolderOption
    @OptionGroup(title: "Base and adapters") var input: AdapterOptions
    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Method") var method: MethodOptions
    @OptionGroup(title: "Calibration") var calibration: CalibrationOptions
    @OptionGroup(title: "Calibration") var grouping: GroupOptions
    @OptionGroup(title: "Distillation") var distillation: DistillOptions
    @OptionGroup(title: "Output") var form: MergeOutputOptions

    /// Answered before the arguments are parsed, see `MethodList`.
    @Flag(name: .customLong("list-methods"), help: "List the merge methods and their parameters, and exit.")
    var listsMethods = false

    @Flag(
        name: .customLong("base-alone"),
        help: "Without --adapter: write the base as a bundle whose task is its own head.")
    var baseAlone = false

    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    private var output: String { target.path }
    private var force: Bool { replacing.force }

    func validate() throws {
        if input.recipe != nil {
            guard !baseAlone else { throw ValidationError("--base-alone: the --recipe says what is merged.") }
            guard !method.isGiven else {
                throw ValidationError("--method, --from, --steps, --scale, --set and --seed: the --recipe has them.")
            }
            guard distillation.minutes == nil else { throw ValidationError("--minutes: the --recipe has the steps.") }
            guard calibration.images.holding.groupBy == nil || calibration.images.isHoldoutGiven else {
                throw ValidationError("--group-by: the --recipe says what is held out.")
            }
            guard !calibration.images.withoutFits else {
                throw ValidationError("--no-fit: the --recipe says of which tasks fits are made.")
            }
            guard calibration.images.precision == nil else {
                throw ValidationError("--precision: the --recipe has it.")
            }
            guard grouping.groups == nil, !calibration.isUsed, calibration.labelled.isEmpty else {
                throw ValidationError(
                    "--groups, --align, --tune, --tune-all, --labelled and --max-drop: the --recipe says what is done.")
            }
            return
        }
        guard input.named.adapters.isEmpty == baseAlone else {
            throw ValidationError(
                baseAlone
                    ? "--base-alone goes without --adapter."
                    : "Give at least one --adapter NAME=DIR, or --base-alone to write the base with its own head.")
        }
        try calibration.check(tasks: input.named.adapters.map(\.name))
        _ = try grouping.names(among: input.named.adapters.map(\.name))
        guard grouping.groups == nil || calibration.maxDrop == nil else {
            throw ValidationError("--groups sets the groups, --max-drop finds them: give one.")
        }
        guard calibration.images.precision == nil || calibration.isGiven else {
            throw ValidationError("--precision needs --calibration.")
        }
        guard !calibration.images.cache.isGiven || calibration.isGiven || calibration.images.isHoldoutGiven else {
            throw ValidationError("--feature-cache needs --calibration or --holdout.")
        }
        let plan = try method.plan()
        guard !plan.usesImages || calibration.isGiven else {
            throw ValidationError("--method \(method.method) needs --calibration.")
        }
        guard plan.distillation != nil || !distillation.isGiven else {
            throw ValidationError("--minutes, --resume and --checkpoint-steps belong to --method distill.")
        }
        guard distillation.minutes == nil || !method.givesSteps else {
            throw ValidationError("--steps and --minutes: give one.")
        }
        if plan.distillation != nil {
            guard !input.named.adapters.isEmpty else { throw ValidationError("--method distill needs an --adapter.") }
            guard calibration.maxDrop == nil else {
                throw ValidationError("--max-drop compares many merges, which distill would train: give --groups.")
            }
        }
        guard try calibration.images.folders.isEmpty || usesImages(plan) else {
            throw ValidationError(
                """
                --calibration: nothing uses the images. Add --align, --tune or --streams, give each task its own for \
                fits (NAME=DIR, without --no-fit and --as adapter), or give them as --holdout to see how well the \
                merge agrees with its adapters.
                """)
        }
        let isGrouped = grouping.groups != nil || calibration.maxDrop != nil
        guard form.kind != .adapter || !(isGrouped || calibration.images.align) else {
            throw ValidationError("--as adapter holds one merged change: it goes without groups and aligned heads.")
        }
        if plan.streams != nil {
            guard form.kind != .adapter else {
                throw ValidationError("--as adapter holds one merged change: it goes without --streams.")
            }
            guard calibration.maxDrop == nil else {
                throw ValidationError("--max-drop groups tasks that share all tokens: it goes without --streams.")
            }
        }
    }

    func run() throws {
        let request = Interruption.Request()
        try showingStages(isQuiet: quiet.isQuiet, isStopped: { request.number != nil }) { try merge(request) }
    }

    private func merge(_ request: Interruption.Request) throws {
        let log = quiet.log
        var job = try input.recipe.map { try self.job(again: $0.text, log) } ?? newJob(log)
        job.distillationRun = distillation.run
        job.holdout = calibration.holdout(tasks: job.tasks)
        job.featureCache = calibration.images.cache.settings
        var display = MergeDisplay(isQuiet: quiet.isQuiet)
        // Once training has begun there are checkpoints, and all that is lost after it is what follows training.
        var advice = Interruption.nothingWritten
        let outcome = try job.run { event in
            switch event {
            case .warning(let warning): log.warning("\(description(of: warning))")
            case .distillationBegins:
                advice = TrainCommand.advice
                Interruption.asks(request, advice: advice)
            case .distillationEnded where request.number == nil: Interruption.ends(advice: advice)
            case .writing(let discard): Interruption.ends(advice: advice, cleanup: discard)
            default: break
            }
            display.show(event)
            return request.number == nil
        }
        switch outcome {
        case .finished(let result):
            display.say(result, into: output)
            if !method.isGiven, input.recipe == nil, result.calibration == nil,
                result.groups.contains(where: Self.isPlainSum)
            {
                log.notice(
                    """
                    three or more adapters added up as they are lose much accuracy; --scale 0.3 loses less, and with \
                    images of the tasks --calibration keeps most: --tune --align, or --method distill (docs/merging.md)
                    """)
            }
        case .stopped(let steps, let total):
            display.finish()
            throw Interruption.stopped(
                by: request, Self.place(steps, of: total),
                advice: steps > 0 || distillation.resume ? TrainCommand.advice : Interruption.nothingWritten)
        }
    }

    /// How far a distillation came that was stopped.
    private static func place(_ steps: Int, of total: Int?) -> String {
        if steps == 0 { return "before the first step" }
        return steps == total ? "after the last step" : "after step \(steps)" + (total.map { " of \($0)" } ?? "")
    }

    /// The merge that the options ask for.
    private func newJob(_ log: Logger) throws -> MergeJob {
        let plan = try method.plan()
        let (base, adapters) = try input.open(log, force: force)
        if baseAlone, try base.head(task: ModelBundle.plainTask) == nil {
            throw ModelError(base.folder, "has no classifier, so the bundle would have no task; give an --adapter")
        }
        let names = adapters.map(\.adapter.task)
        let grouping: MergeJob.Grouping =
            if let drop = calibration.maxDrop { .fewest(maximumDrop: drop) } else {
                try grouping.groups == nil ? .one : .named(grouping.names(among: names))
            }
        return MergeJob(
            base: base, adapters: adapters, plan: plan, grouping: grouping, tuning: calibration.tuning(plan, method),
            calibration: try calibrationSettings(plan, names),
            output: MergeJob.Output(output, form: form.form, replaces: force))
    }

    /// Whether a merge uses the images that are given.
    private func usesImages(_ plan: MergePlan) throws -> Bool {
        if calibration.isUsed || plan.usesImages { return true }
        return try (plan.streams != nil && calibration.isGiven) || makesFits
    }

    /// Whether the images make fits, which an adapter does not hold.
    private var makesFits: Bool {
        get throws {
            try form.kind == .bundle && calibration.images.makesFits(tasks: input.named.adapters.count)
        }
    }

    /// The images that a merge uses.
    private func calibrationSettings(_ plan: MergePlan, _ tasks: [String]) throws -> CalibrationSettings? {
        guard try usesImages(plan) else { return nil }
        var settings = try calibration.settings(tasks: tasks, seed: method.seed)
        settings.makesFits = settings.makesFits && form.kind == .bundle
        return settings
    }

    /// The merge of a recipe.
    private func job(again path: String, _ log: Logger) throws -> MergeJob {
        do {
            var recipe = try input.named.recipe(path, base: input.base)
            try calibration.check(tasks: recipe.adapters)
            try calibration.images.move(&recipe)
            let (base, adapters, added) = try recipe.open(
                preprocessor: input.choice(path), allowsOtherBase: force || input.named.otherBase.isAllowed)
            let all = adapters.map(\.adapter) + added
            try ModelBundle.check(base, heads: all.map(\.head))
            try input.named.warn(of: all, over: base, log)
            return MergeJob(
                again: recipe, base: base, adapters: adapters, added: added, threads: calibration.usedThreads,
                output: MergeJob.Output(output, form: form.form, replaces: force))
        } catch let error as RecipeError { throw ModelError(path, "\(error)") }
    }

    /// Whether a backbone is the sum of three or more adapters.
    private static func isPlainSum(_ group: BundleGroup) -> Bool {
        group.merged.adapters.filter { !$0.adapter.modules.isEmpty }.count >= 3
    }
}
