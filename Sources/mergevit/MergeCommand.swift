import Adapters
import ArgumentParser
import Logging
import VisionTransformers

/// `mergevit merge`.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into one backbone and write a bundle, or an adapter.",
        discussion: """
            Each adapter is a PEFT folder, or a folder or .safetensors file with only a head. Its task keeps its own head \
            and class names; the backbone is the base plus the merged changes.

            --recipe makes a merge again, from files that must be the same; --as adapter writes a PEFT folder that holds \
            the merged change.

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions
    @OptionGroup var form: OutputForm

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    @Flag(help: "Replace a bundle, or merged adapter, that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([output])
        if input.recipe != nil, method.isGiven {
            throw ValidationError("--method, --scale, --set and --seed: the --recipe has them.")
        }
    }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let merged = try merged(log)
        if form.kind == .adapter { return try writeAdapter(merged, log) }
        let heads = try BundleWriter.write(merged, to: output, replaces: force) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        guard !isQuiet else { return }
        let tasks = heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", ")
        say(merged, tasks)
    }

    private func merged(_ log: Logger) throws -> MergedBackbone {
        if let recipe = input.recipe { return try input.recorded(recipe).merge() }
        let (method, settings) = try method.chosen()
        let (base, adapters) = try input.open(log)
        return try MergedBackbone(base: base, adapters: adapters, method: method, settings: settings)
    }

    private func writeAdapter(_ merged: MergedBackbone, _ log: Logger) throws {
        let result = try AdapterWriter.write(
            merged, to: output, rank: form.rank, names: form.keyNames, replaces: force
        ) { discard in Interruption().watch(discard) }
        guard !isQuiet else { return }
        say(merged, OutputForm.summary(result))
    }

    private func say(_ merged: MergedBackbone, _ what: String) {
        let count = merged.adapters.count
        StandardStream.error.write(
            "merged \(count) adapter\(count == 1 ? "" : "s") by \(merged.method.name) at scale "
                + "\(merged.settings["scale"]) into \(output): \(what)\n")
    }
}
