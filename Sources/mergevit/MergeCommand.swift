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
            (--tune), and tasks that disturb each other are kept apart (--max-drop).

            --recipe makes a merge again, from files that must be the same; --as adapter writes a PEFT folder that holds \
            the merged change.

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions
    @OptionGroup var calibration: CalibrationOptions
    @OptionGroup var grouping: GroupOptions
    @OptionGroup var form: OutputForm

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    /// Answered before the arguments are parsed, see `MethodList`.
    @Flag(name: .customLong("list-methods"), help: "List the merge methods and their parameters, and do nothing else.")
    var listsMethods = false

    @Flag(help: "Replace a bundle, or merged adapter, that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([output])
        if input.recipe != nil {
            guard !method.isGiven else {
                throw ValidationError("--method, --scale, --set and --seed: the --recipe has them.")
            }
            guard grouping.groups == nil, !calibration.isUsed, calibration.labelled.isEmpty else {
                throw ValidationError(
                    "--groups, --align, --tune, --tune-all, --labelled and --max-drop: the --recipe says what is done.")
            }
            return
        }
        _ = try grouping.names(among: input.adapters.map(\.name))
        guard grouping.groups == nil || calibration.maxDrop == nil else {
            throw ValidationError("--groups sets the groups, --max-drop finds them: give one.")
        }
        guard try !method.chosen().method.usesImages || calibration.isGiven else {
            throw ValidationError("--method \(method.method) needs --calibration.")
        }
        guard form.kind != .adapter || (grouping.groups == nil && calibration.maxDrop == nil && !calibration.align)
        else {
            throw ValidationError("--as adapter holds one merged change: it goes without groups and aligned heads.")
        }
    }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let report: (String) -> Void = { if !isQuiet { StandardStream.error.write($0 + "\n") } }
        if let recipe = input.recipe {
            var recorded = try input.recorded(recipe)
            let (base, adapters) = try recorded.open()
            let images = try calibration.calibrator(again: &recorded, base: base, adapters: adapters, log: log)
            var run = MergeRun(base: base, adapters: adapters, calibration: images, report: report)
            let groups = try run.groups(again: recorded.groups)
            return try write(groups, order: adapters.isEmpty ? nil : recorded.adapters, run.record, log)
        }
        let (method, settings) = try method.chosen()
        let (base, adapters) = try input.open(log)
        let isCalibrated = calibration.isUsed || method.usesImages
        let images = isCalibrated ? try calibration.calibrator(base: base, adapters: adapters, log: log) : nil
        var run = MergeRun(
            base: base, adapters: adapters, calibration: images,
            fixed: calibration.tuneAll ? Set(self.method.parameters.map(\.name)) : nil, report: report)
        let names = adapters.map(\.adapter.task)
        let groups = try run.groups(
            named: grouping.groups == nil ? nil : grouping.names(among: names), method: method, settings: settings)
        try write(groups, order: adapters.isEmpty ? nil : names, run.record, log)
    }

    private func write(_ groups: [BundleGroup], order: [String]?, _ record: CalibrationRecord?, _ log: Logger) throws {
        if form.kind == .adapter, let merged = groups.first?.merged {
            let result = try AdapterWriter.write(
                merged, to: output, rank: form.rank, names: form.keyNames, calibration: record, replaces: force
            ) { discard in Interruption().watch(discard) }
            return say(groups, OutputForm.summary(result))
        }
        let heads = try BundleWriter.write(
            groups: groups, order: order, calibration: record, to: output, replaces: force
        ) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        say(groups, heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", "))
    }

    private func say(_ groups: [BundleGroup], _ what: String) {
        guard !isQuiet, let first = groups.first?.merged else { return }
        let count = groups.reduce(0) { $0 + $1.merged.adapters.count }
        let all = groups.map { "\($0.merged.settings["scale"])" }
        let scales = Set(all).count == 1 ? all[0] : all.joined(separator: " and ")
        StandardStream.error.write(
            "merged \(count) adapter\(count == 1 ? "" : "s")" + (groups.count > 1 ? " in \(groups.count) groups" : "")
                + " by \(first.method.name) at scale \(scales) into \(output): \(what)\n")
    }
}
