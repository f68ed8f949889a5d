import Adapters
import ArgumentParser
import Datasets
import Workflows

/// The options about images that a merge is compared with its single adapters on.
struct CalibrationOptions: ParsableArguments {
    @OptionGroup var images: CalibrationImageOptions

    @Option(
        name: .customLong("labelled"),
        help: .init(
            "TASK=DATA",
            "Labelled images of a task to tune by: a folder with a folder per class, or a table; may be repeated."))
    var labelled: [NamedValue] = []

    @Flag(help: "Choose the scale on the calibration images: by labels where they are known, else by agreement.")
    var tune = false

    @Flag(help: "Like --tune, and search the method's other parameters that --set does not give.")
    var tuneAll = false

    @Option(
        help: .init(
            "PERCENT",
            """
            Find the fewest groups of tasks such that each task keeps all but PERCENT of its single adapter's labels; \
            implies --align.
            """))
    var maxDrop: Double?

    @OptionGroup var threads: ThreadOption

    func validate() throws {
        try NamedValue.check(labelled, option: "--labelled")
        guard !isUsed || isGiven else {
            throw ValidationError("--align, --tune, --tune-all and --max-drop need --calibration.")
        }
        guard images.holding.groupBy == nil || isGiven || images.isHoldoutGiven else {
            throw ValidationError("--group-by needs --calibration or --holdout.")
        }
        guard labelled.isEmpty || isTuned else { throw ValidationError("--labelled needs --tune.") }
        if let maxDrop, !(maxDrop >= 0 && maxDrop <= 100) {
            throw ValidationError("--max-drop must be from 0 to 100, not \(maxDrop).")
        }
    }

    /// Checks that images are given for tasks that there are.
    ///
    /// - Throws: `ValidationError` naming the tasks.
    func check(tasks: [String]) throws { try images.check(tasks: tasks, labelled: labelled.map(\.name)) }

    /// Whether there is anything to do with calibration images.
    var isUsed: Bool { images.align || isTuned || maxDrop != nil }

    /// Whether the scale is to be chosen.
    var isTuned: Bool { tune || tuneAll }

    /// Whether any images are given.
    var isGiven: Bool { !images.folders.isEmpty || !labelled.isEmpty }

    /// What is chosen on the images.
    ///
    /// - Parameters:
    ///   - plan: the merge. The scale of one that is then distilled is chosen unless it is given.
    ///   - method: the options that give the scale, and parameters that are not searched.
    func tuning(_ plan: MergePlan, _ method: MethodOptions) -> MergeJob.Tuning {
        if tuneAll { return .parameters(except: Set(method.parameters.map(\.name))) }
        if tune { return .scale }
        // Streams read what a method that uses images made at its own scale.
        let isFitted = plan.streams != nil && plan.merge.method.usesImages
        return plan.distillation != nil && !method.givesScale && !isFitted ? .roughScale : .none
    }

    /// The images of some tasks, with what is done with them.
    ///
    /// - Parameter seed: what pictures are drawn from.
    func settings(tasks: [String], seed: UInt64) throws -> CalibrationSettings {
        try images.settings(
            tasks: tasks, labelled: Dictionary(labelled.map { ($0.name, $0.value.text) }) { $1 }, seed: seed,
            threads: usedThreads)
    }

    /// The images that are for nothing but a report, of some tasks; nil if none are given.
    func holdout(tasks: [String]) -> HoldoutSettings? { images.holdout(tasks: tasks, threads: usedThreads) }

    /// How many images are computed at the same time.
    var usedThreads: Int { threads.count }
}
