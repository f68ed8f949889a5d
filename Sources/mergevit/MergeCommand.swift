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
            guard grouping.groups == nil, calibration.folders.isEmpty else {
                throw ValidationError("--groups and --calibration do not go with --recipe.")
            }
            return
        }
        _ = try grouping.names(among: input.adapters.map(\.name))
        guard grouping.groups == nil || calibration.maxDrop == nil else {
            throw ValidationError("--groups sets the groups, --max-drop finds them: give one.")
        }
        guard try !method.chosen().method.usesImages || !calibration.folders.isEmpty else {
            throw ValidationError("--method \(method.method) needs --calibration.")
        }
        guard form.kind != .adapter || (grouping.groups == nil && calibration.maxDrop == nil && !calibration.align)
        else {
            throw ValidationError("--as adapter holds one merged change: it goes without groups and aligned heads.")
        }
    }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        if let recipe = input.recipe {
            let merged = try input.recorded(recipe).merge()
            return try write([BundleGroup(merged)], order: nil, run: nil, log)
        }
        let (base, adapters) = try input.open(log)
        var run = try MergeRun(
            base: base, adapters: adapters, method: method.chosen(), options: calibration,
            report: { if !isQuiet { StandardStream.error.write($0 + "\n") } }, log: log)
        let names = adapters.map(\.adapter.task)
        let groups = try run.groups(named: grouping.groups == nil ? nil : grouping.names(among: names))
        try write(groups, order: adapters.isEmpty ? nil : names, run: run, log)
    }

    private func write(_ groups: [BundleGroup], order: [String]?, run: MergeRun?, _ log: Logger) throws {
        if form.kind == .adapter, let merged = groups.first?.merged {
            let result = try AdapterWriter.write(
                merged, to: output, rank: form.rank, names: form.keyNames, replaces: force
            ) { discard in Interruption().watch(discard) }
            return say(groups, OutputForm.summary(result))
        }
        let heads = try BundleWriter.write(
            groups: groups, order: order, calibration: run?.record, to: output, replaces: force
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
