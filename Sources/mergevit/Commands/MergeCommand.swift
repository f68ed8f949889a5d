import Adapters
import ArgumentParser
import Logging
import VisionTransformers

/// `mergevit merge`.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into one backbone and write a bundle.",
        discussion: """
            Each adapter is a PEFT folder, or a folder or .safetensors file with only a head. Its task keeps its own head \
            and class names; the backbone is the base plus the merged changes.

            With unlabelled images (--calibration) heads are aligned with the merged backbone (--align), the scale is chosen \
            (--tune), and tasks that disturb each other are kept apart (--max-drop). --method distill trains the merge until \
            it answers as the single adapters do, and aligns its heads; a run that was stopped or killed goes on with the same \
            options and --resume, to the same bytes.

            --recipe makes a merge again, from files that must be the same; --as adapter writes a PEFT folder that holds \
            the merged change.

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used, 130 or 143 stopped by \
            a signal.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions
    @OptionGroup var calibration: CalibrationOptions
    @OptionGroup var grouping: GroupOptions
    @OptionGroup var distillation: DistillOptions
    @OptionGroup var form: OutputForm

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    /// Answered before the arguments are parsed, see `MethodList`.
    @Flag(name: .customLong("list-methods"), help: "List the merge methods and their parameters, and do nothing else.")
    var listsMethods = false

    @Flag(
        name: .customLong("base-alone"),
        help: "Without --adapter: write the base as a bundle whose task is its own head.")
    var baseAlone = false

    @Flag(
        help:
            "Replace a bundle, or merged adapter, that is there already, and merge adapters of another base with a warning."
    )
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([output])
        if input.recipe != nil {
            guard !baseAlone else { throw ValidationError("--base-alone: the --recipe says what is merged.") }
            guard !method.isGiven else {
                throw ValidationError("--method, --from, --steps, --scale, --set and --seed: the --recipe has them.")
            }
            guard distillation.minutes == nil else { throw ValidationError("--minutes: the --recipe has the steps.") }
            guard grouping.groups == nil, !calibration.isUsed, calibration.labelled.isEmpty else {
                throw ValidationError(
                    "--groups, --align, --tune, --tune-all, --labelled and --max-drop: the --recipe says what is done.")
            }
            return
        }
        guard input.adapters.isEmpty == baseAlone else {
            throw ValidationError(
                baseAlone
                    ? "--base-alone goes without --adapter."
                    : "Give at least one --adapter NAME=DIR, or --base-alone to write the base with its own head.")
        }
        try calibration.check(tasks: input.adapters.map(\.name))
        _ = try grouping.names(among: input.adapters.map(\.name))
        guard grouping.groups == nil || calibration.maxDrop == nil else {
            throw ValidationError("--groups sets the groups, --max-drop finds them: give one.")
        }
        let choice = try method.chosen()
        guard !choice.usesImages || calibration.isGiven else {
            throw ValidationError("--method \(method.method) needs --calibration.")
        }
        try distillation.check(with: choice, stepsAreGiven: method.stepsAreGiven)
        if choice.start != nil {
            guard !input.adapters.isEmpty else { throw ValidationError("--method distill needs an --adapter.") }
            guard calibration.maxDrop == nil else {
                throw ValidationError("--max-drop compares many merges, which distill would train: give --groups.")
            }
        }
        guard form.kind != .adapter || (grouping.groups == nil && calibration.maxDrop == nil && !calibration.align)
        else {
            throw ValidationError("--as adapter holds one merged change: it goes without groups and aligned heads.")
        }
    }

    func run() throws { try showingStages(isQuiet: isQuiet) { try merge() } }

    private func merge() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let report: (String) -> Void = { if !isQuiet { StandardStream.error.write($0 + "\n") } }
        if let recipe = input.recipe {
            var recorded = try input.recorded(recipe)
            try calibration.check(tasks: recorded.adapters)
            let (base, adapters) = try recorded.open(
                preprocessor: input.choice(recipe), allowsOtherBase: force || input.otherBase.isAllowed)
            try ModelBundle.check(base, heads: adapters.map(\.adapter.head))
            try input.otherBase.warn(of: adapters.map(\.adapter), over: base, log)
            let trainer = try trainer(recorded.groups.map(\.rule))
            let images = try calibration.calibrator(again: &recorded, base: base, adapters: adapters, log: log)
            var run = MergeRun(base: base, adapters: adapters, calibration: images, trainer: trainer, report: report)
            let groups = try run.groups(again: recorded.groups)
            return try write(groups, order: adapters.isEmpty ? nil : recorded.adapters, run.record, log)
        }
        var choice = try method.chosen()
        choice.isTuned = calibration.isTuned
        let (base, adapters) = try input.open(log, force: force)
        if baseAlone, try base.head(task: ModelBundle.plainTask) == nil {
            throw ModelError(base.folder, "has no classifier, so the bundle would have no task; give an --adapter")
        }
        let names = adapters.map(\.adapter.task)
        let split = try grouping.groups == nil ? nil : grouping.names(among: names)
        let trainer = try trainer(split?.map { _ in choice.rule } ?? [choice.rule])
        let isCalibrated = calibration.isUsed || choice.usesImages
        // An adapter holds the change alone, so heads that read it otherwise have no place there.
        let images =
            isCalibrated
            ? try calibration.calibrator(
                base: base, adapters: adapters, merge: choice, aligns: trainer != nil && form.kind == .bundle, log: log)
            : nil
        var run = MergeRun(
            base: base, adapters: adapters, calibration: images, trainer: trainer,
            fixed: calibration.tuneAll ? Set(method.parameters.map(\.name)) : nil, report: report)
        let groups = try run.groups(named: split, choice)
        try write(groups, order: adapters.isEmpty ? nil : names, run.record, log)
        if !method.isGiven, images == nil, groups.contains(where: Self.isPlainSum) {
            log.notice(
                """
                three or more adapters added up as they are lose much accuracy; --scale 0.3 loses less, and with images \
                of the tasks --calibration keeps most: --tune --align, or --method distill (docs/merging.md)
                """)
        }
    }

    /// Whether a backbone is the sum of three or more adapters.
    private static func isPlainSum(_ group: BundleGroup) -> Bool {
        group.merged.adapters.filter { !$0.adapter.modules.isEmpty }.count >= 3
    }

    /// What trains the merges, if any of the backbones' rules does; checks the output before the work begins.
    private func trainer(_ rules: [MergeRule]) throws -> DistillRunner? {
        guard rules.contains(where: \.method.isTrained) else { return nil }
        switch form.kind {
        case .bundle: try BundleWriter.check(output, replaces: force)
        case .adapter: try AdapterWriter.check(output, replaces: force)
        }
        try distillation.prepare(output, groups: rules.count, replaces: force)
        return DistillRunner(options: distillation, output: output, isQuiet: isQuiet)
    }

    private func write(_ groups: [BundleGroup], order: [String]?, _ record: CalibrationRecord?, _ log: Logger) throws {
        let isTrained = groups.contains { $0.merged.method.isTrained }
        let advice = isTrained ? TrainCommand.advice : Interruption.nothingWritten
        if form.kind == .adapter, let merged = groups.first?.merged {
            let result = try AdapterWriter.write(
                merged, to: output, rank: form.rank, names: form.keyNames, calibration: record, replaces: force
            ) { discard in Interruption.ends(advice: advice, cleanup: discard) }
            DistillOptions.finish(output, groups: groups.count)
            return say(groups, OutputForm.summary(result))
        }
        let heads = try BundleWriter.write(
            groups: groups, order: order, calibration: record, to: output, replaces: force
        ) { discard in Interruption.ends(advice: advice, cleanup: discard) }
        DistillOptions.finish(output, groups: groups.count)
        say(groups, heads.map(Self.described).joined(separator: ", "))
    }

    /// A head's task with the number of its classes, and its activation unless that is a softmax.
    private static func described(_ head: Head) -> String {
        let activation = head.activation == .softmax ? "" : ", activation \(head.activation.rawValue)"
        return "\(head.task) (\(head.classes.count)\(activation))"
    }

    private func say(_ groups: [BundleGroup], _ what: String) {
        guard !isQuiet, let first = groups.first?.merged else { return }
        let count = groups.reduce(0) { $0 + $1.merged.adapters.count }
        let all = groups.map(Self.rule)
        let rules = Set(all).count == 1 ? all[0] : all.joined(separator: " and ")
        StandardStream.error.write(
            "merged \(count) adapter\(count == 1 ? "" : "s")" + (groups.count > 1 ? " in \(groups.count) groups" : "")
                + " by \(first.method.name) \(rules) into \(output): \(what)\n")
    }

    /// The scale of a merge, or what it was trained from.
    private static func rule(_ group: BundleGroup) -> String {
        let merged = group.merged
        guard let start = merged.start else { return "at scale \(merged.scale)" }
        let scale = start.settings.values[MergeMethod.scale.name].map { " at scale \($0)" } ?? ""
        return "from \(start.method.name)\(scale) in \(Int(merged.settings["steps"])) steps"
    }
}
