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

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions
    @OptionGroup var calibration: CalibrationOptions
    @OptionGroup var grouping: GroupOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "The bundle's folder.")
    var output: String

    /// Answered before the arguments are parsed, see `MethodList`.
    @Flag(name: .customLong("list-methods"), help: "List the merge methods and their parameters, and do nothing else.")
    var listsMethods = false

    @Flag(help: "Replace a bundle that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([output])
        _ = try grouping.names(among: input.adapters.map(\.name))
        guard grouping.groups == nil || calibration.maxDrop == nil else {
            throw ValidationError("--groups sets the groups, --max-drop finds them: give one.")
        }
        guard try !method.chosen().method.usesImages || !calibration.folders.isEmpty else {
            throw ValidationError("--method \(method.method) needs --calibration.")
        }
    }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let (base, adapters) = try input.open(log)
        var run = try MergeRun(
            base: base, adapters: adapters, method: method.chosen(), options: calibration,
            report: { if !isQuiet { StandardStream.error.write($0 + "\n") } }, log: log)
        let groups = try run.groups(
            named: grouping.groups == nil ? nil : grouping.names(among: adapters.map(\.adapter.task)))
        let order = adapters.isEmpty ? nil : adapters.map(\.adapter.task)
        let heads = try BundleWriter.write(
            groups: groups, order: order, calibration: run.record, to: output, replaces: force
        ) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        guard !isQuiet else { return }
        let tasks = heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", ")
        let all = groups.map { "\($0.merged.settings["scale"])" }
        let scales = Set(all).count == 1 ? all[0] : all.joined(separator: " and ")
        StandardStream.error.write(
            "merged \(adapters.count) adapter\(adapters.count == 1 ? "" : "s")"
                + (groups.count > 1 ? " in \(groups.count) groups" : "")
                + " by \(groups[0].merged.method.name) at scale "
                + "\(scales) into \(output): \(tasks)\n")
    }
}
