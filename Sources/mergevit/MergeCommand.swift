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
            and class names; the backbone is the base plus the merged changes..

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "The bundle's folder.")
    var output: String

    /// Answered before the arguments are parsed, see `MethodList`.
    @Flag(name: .customLong("list-methods"), help: "List the merge methods and their parameters, and do nothing else.")
    var listsMethods = false

    @Flag(help: "Replace a bundle that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws { try RawArguments.checkText([output]) }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let (method, settings) = try method.chosen()
        let (base, adapters) = try input.open(log)
        let merged = try MergedBackbone(base: base, adapters: adapters, method: method, settings: settings)
        let heads = try BundleWriter.write(merged, to: output, replaces: force) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        guard !isQuiet else { return }
        let tasks = heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", ")
        StandardStream.error.write(
            "merged \(adapters.count) adapter\(adapters.count == 1 ? "" : "s") by \(method.name) at scale "
                + "\(settings["scale"]) into \(output): \(tasks)\n")
    }
}
