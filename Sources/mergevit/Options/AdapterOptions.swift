import Adapters
import ArgumentParser
import Files
import Logging
import Tensors
import VisionTransformers

/// The options that name a base and adapters.
struct AdapterOptions: ParsableArguments {
    @Option(help: "The Hugging Face folder of the base.")
    var base: String?

    @Option(
        help: """
            Make the merge again that a bundle.json tells of. --base, --adapter, --labels and --head then say where files are \
            now that have moved.
            """)
    var recipe: String?

    @Option(name: .customLong("adapter"), help: "An adapter, as NAME=DIR; may be repeated.")
    var adapters: [NamedValue] = []

    @Option(name: .customLong("labels"), help: "The class names of an adapter, as NAME=FILE; may be repeated.")
    var labels: [NamedValue] = []

    @Option(
        name: .customLong("activation"),
        help: """
            What an adapter's head was trained for, as NAME=softmax, NAME=sigmoid (several labels for an image) or NAME=none (a \
            regression); may be repeated. Default: problem_type beside the adapter, else that of the base.
            """)
    var activations: [NamedValue] = []
    @OptionGroup var headFiles: HeadFileOption

    @Option(name: .customLong("weight"), help: "The weight of an adapter, as NAME=W (default 1); may be repeated.")
    var weights: [NamedValue] = []

    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var preprocessor: PreprocessorOptions

    func validate() throws {
        try RawArguments.checkText(
            [base, recipe].compactMap(\.self) + (adapters + labels + headFiles.heads).flatMap { [$0.name, $0.value] })
        let names = adapters.map(\.name)
        try NamedValue.check(adapters, option: "--adapter")
        for name in names {
            do { try ModelBundle.checkTaskName(name, path: "--adapter") } catch { throw ValidationError("\(error)") }
        }
        guard recipe == nil else {
            if !weights.isEmpty { throw ValidationError("--weight: the --recipe has the weights.") }
            if !activations.isEmpty { throw ValidationError("--activation: the --recipe has the activations.") }
            try NamedValue.check(headFiles.heads, option: "--head")
            return try NamedValue.check(labels, option: "--labels")
        }
        if base == nil { throw ValidationError("Missing expected argument '--base <base>'") }
        for (option, values) in [("--labels", labels), ("--head", headFiles.heads), ("--weight", weights)] {
            try NamedValue.check(values, option: option, among: names)
        }
        try NamedValue.checkActivations(activations, among: names)
        for weight in weights where Double(weight.value)?.isFinite != true {
            throw ValidationError("--weight \(weight.name)=\(weight.value): expected a finite number.")
        }
    }

    /// Opens the base and reads the adapters; warns of what a user should know of them.
    ///
    /// - Parameter force: whether the user insists, so that adapters of another base are used with a warning.
    func open(_ log: Logger, force: Bool) throws -> (base: Checkpoint, adapters: [WeightedAdapter]) {
        let checkpoint = try Checkpoint(folder: base ?? "", preprocessor: preprocessor.choice)
        try MergedBase.refuse(checkpoint.folder)
        try ModelBundle.check(checkpoint, heads: [])
        let opened = try adapters.enumerated().map { index, named in
            try LongWork.report("reading adapters", index, of: adapters.count)
            let adapter = try Adapter(
                task: named.name, path: named.value, labels: labels.value(of: named.name),
                headFile: headFiles.heads.value(of: named.name),
                activation: activations.activation(of: named.name), base: checkpoint,
                allowsOtherBase: force || otherBase.isAllowed)
            if adapter.hasPlaceholderNames {
                log.warning(
                    "\(named.name): no class names beside \(named.value); they will be LABEL_0, LABEL_1 ... (--labels)")
            }
            return WeightedAdapter(adapter, weight: weights.value(of: named.name).flatMap(Double.init) ?? 1)
        }
        try otherBase.warn(of: opened.map(\.adapter), over: checkpoint, log)
        return (checkpoint, opened)
    }
}

/// The option that names heads that are kept apart from their adapters.
struct HeadFileOption: ParsableArguments {
    @Option(
        name: .customLong("head"),
        help: "A file with the head of an adapter that has none, as NAME=FILE.safetensors or .bin; may be repeated.")
    var heads: [NamedValue] = []
}

/// The option that lets adapters be used over another base than they were trained over.
struct OtherBaseOption: ParsableArguments {
    @Flag(
        name: .customLong("allow-other-base"),
        help: "Use adapters even if their training.json tells that they were trained over other weights.")
    var isAllowed = false

    /// Warns of what a user should know of adapters. That one is used over another base is said even to those who want it
    /// quiet, unless they asked for it by this option: --force has another purpose, too.
    func warn(of adapters: [Adapter], over base: Checkpoint, _ log: Logger) throws {
        for adapter in adapters {
            for warning in try adapter.warnings(over: base) {
                if warning == adapter.otherBase, !isAllowed {
                    StandardStream.error.write("mergevit: warning: \(adapter.task): \(warning)\n")
                } else {
                    log.warning("\(adapter.task): \(warning)")
                }
            }
        }
    }
}

extension AdapterOptions {
    /// Where preprocessing settings come from for a merge that is made again: the resize is the bundle's unless
    /// specified.
    func choice(_ recipe: String) throws -> PreprocessorChoice {
        var choice = preprocessor.choice
        if choice.resize == nil { choice.resize = try ModelBundle.resize(JSON(contentsOf: recipe), path: recipe) }
        return choice
    }

    /// The recipe in a file, with the files that have moved where they are now.
    func read(recipe path: String) throws -> Recipe {
        var recipe = try Recipe(contentsOf: path)
        for (option, values) in [("--adapter", adapters), ("--labels", labels), ("--head", headFiles.heads)] {
            for value in values where !recipe.adapters.contains(value.name) {
                let names = recipe.adapters.joined(separator: ", ")
                throw ValidationError("\(option) \(value.name)=...: the recipe has no such adapter; it has \(names).")
            }
        }
        if let base { recipe.move(base: base) }
        for adapter in adapters { try recipe.move(adapter: adapter.name, to: adapter.value) }
        for file in headFiles.heads { try recipe.move(adapter: file.name, head: file.value) }
        for file in labels { try recipe.move(adapter: file.name, labels: file.value) }
        return recipe
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

    /// Checks that no name is given twice, and that all are among the adapters' names if those are given.
    static func check(_ values: [NamedValue], option: String, among names: [String]? = nil) throws {
        var seen: Set<String> = []
        for value in values {
            guard seen.insert(value.name).inserted else {
                throw ValidationError("\(option) \(value.name)=... is given twice.")
            }
            if let names, !names.contains(value.name) {
                throw ValidationError(
                    "\(option) \(value.name)=...: there is no --adapter of that name"
                        + (names.isEmpty ? "." : "; there are \(names.joined(separator: ", "))."))
            }
        }
    }
}

extension NamedValue {
    /// Checks the values of `--activation`.
    static func checkActivations(_ values: [NamedValue], among names: [String]) throws {
        try check(values, option: "--activation", among: names)
        for value in values where HeadActivation(rawValue: value.value) == nil {
            throw ValidationError(
                "--activation \(value.name)=\(value.value): expected one of \(HeadActivation.names).")
        }
    }
}

extension [NamedValue] {
    /// The activation given for a name, or nil.
    func activation(of name: String) -> HeadActivation? { value(of: name).flatMap(HeadActivation.init) }

    /// The value given for a name, or nil.
    func value(of name: String) -> String? { first { $0.name == name }?.value }
}
