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

    @Option(help: "The Hugging Face folder of the base.")
    var base: String

    @Option(name: .customLong("adapter"), help: "An adapter, as NAME=DIR; may be repeated.")
    var adapters: [NamedValue] = []

    @Option(name: .customLong("labels"), help: "The class names of an adapter, as NAME=FILE; may be repeated.")
    var labels: [NamedValue] = []

    @Option(name: .customLong("weight"), help: "The weight of an adapter, as NAME=W (default 1); may be repeated.")
    var weights: [NamedValue] = []

    @Option(parsing: .unconditional, help: "The factor on the merged change.")
    var scale = 1.0

    @Option(help: "How changes are merged: \(MergeMethod.all.map(\.name).joined(separator: ", ")).")
    var method = MergeMethod.all[0].name

    @Option(name: [.customShort("o"), .customLong("output")], help: "The bundle's folder.")
    var output: String

    @Flag(help: "Replace a bundle that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        guard MergeMethod.named(method) != nil else {
            let known = MergeMethod.all.map(\.name).joined(separator: ", ")
            throw ValidationError("--method \"\(method)\" is not known; known are \(known).")
        }
        guard scale.isFinite else { throw ValidationError("--scale must be a finite number, not \(scale).") }
        try RawArguments.checkText([base, output] + (adapters + labels).flatMap { [$0.name, $0.value] })
        let names = adapters.map(\.name)
        try Self.check(adapters, option: "--adapter")
        for name in names {
            do { try ModelBundle.checkTaskName(name, path: "--adapter") } catch { throw ValidationError("\(error)") }
        }
        for (option, values) in [("--labels", labels), ("--weight", weights)] {
            try Self.check(values, option: option)
            if let stray = values.first(where: { !names.contains($0.name) }) {
                throw ValidationError("\(option) \(stray.name)=...: there is no --adapter of that name.")
            }
        }
        for weight in weights where Double(weight.value)?.isFinite != true {
            throw ValidationError("--weight \(weight.name)=\(weight.value): expected a finite number.")
        }
    }

    private static func check(_ values: [NamedValue], option: String) throws {
        var seen: Set<String> = []
        for value in values where !seen.insert(value.name).inserted {
            throw ValidationError("\(option) \(value.name)=... is given twice.")
        }
    }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        guard let method = MergeMethod.named(method) else { return }
        let checkpoint = try Checkpoint(folder: base)
        let merged = try MergedBackbone(
            base: checkpoint,
            adapters: adapters.map { named in
                let adapter = try Adapter(
                    task: named.name, path: named.value, labels: labels.value(of: named.name), base: checkpoint)
                if adapter.hasPlaceholderNames {
                    log.warning(
                        "\(named.name): no class names beside \(named.value); they will be LABEL_0, LABEL_1 ... (--labels)"
                    )
                }
                return WeightedAdapter(adapter, weight: weights.value(of: named.name).flatMap(Double.init) ?? 1)
            },
            method: method, scale: scale)
        let heads = try BundleWriter.write(merged, to: output, replaces: force) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        guard !isQuiet else { return }
        StandardStream.error.write(
            "merged \(merged.adapters.count) adapter\(merged.adapters.count == 1 ? "" : "s") by \(method.name) at scale \(scale) into \(output): "
                + heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", ") + "\n")
    }
}

/// An argument of the form NAME=VALUE.
struct NamedValue: ExpressibleByArgument {
    let name: String
    let value: String

    init?(argument: String) {
        guard let sign = argument.firstIndex(of: "="), sign != argument.startIndex else { return nil }
        name = String(argument[..<sign])
        value = String(argument[argument.index(after: sign)...])
        if value.isEmpty { return nil }
    }

    static var defaultCompletionKind: CompletionKind { .file() }
}

extension [NamedValue] {
    /// The value given for a name, or nil.
    fileprivate func value(of name: String) -> String? { first { $0.name == name }?.value }
}
