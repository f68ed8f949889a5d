import Adapters
import ArgumentParser
import Files
import Logging
import Tensors
import VisionTransformers
import Workflows

/// Adapters by name, with their class names, heads and activations.
struct NamedAdapterOptions: ParsableArguments {
    @Option(name: .customLong("adapter"), help: .init("NAME=DIR", "A task's adapter or head; repeat for each."))
    var adapters: [NamedValue] = []

    @Option(name: .customLong("labels"), help: .init("NAME=FILE", "Class names of a task, where its adapter has none."))
    var labels: [NamedValue] = []

    @Option(
        name: .customLong("head"),
        help: .init("NAME=FILE", "Head (.safetensors or .bin) of an adapter that was saved without one."))
    var heads: [NamedValue] = []

    @Option(
        name: .customLong("activation"),
        help: .init(
            "NAME=ACTIVATION",
            """
            What a head was trained for: softmax (one class), sigmoid (any number of labels) or none (values). \
            Default: the problem_type beside the adapter, else that of the base.
            """))
    var activations: [Named<HeadActivation>] = []

    @OptionGroup var otherBase: OtherBaseOption

    /// The adapters' names.
    var names: [String] { adapters.map(\.name) }

    func validate() throws {
        try NamedValue.check(labels, option: "--labels")
        try NamedValue.check(heads, option: "--head")
        try Named.check(activations, option: "--activation")
    }

    /// Checks that no adapter is given twice, and that their names are names of tasks. `check` reports these itself.
    func checkAdapters() throws {
        try NamedValue.check(adapters, option: "--adapter")
        for name in names {
            do { try ModelBundle.checkTaskName(name, path: "--adapter") } catch { throw ValidationError("\(error)") }
        }
    }

    /// Checks that class names and heads are those of adapters that are given.
    func checkNames() throws {
        try NamedValue.check(labels, option: "--labels", among: names)
        try NamedValue.check(heads, option: "--head", among: names)
    }

    /// Checks that activations are those of adapters that are given.
    func checkActivations() throws { try Named.check(activations, option: "--activation", among: names) }

    /// The adapters, and where what they lack is.
    var sources: [NamedAdapter] {
        adapters.map { adapter in
            NamedAdapter(
                task: adapter.name, path: adapter.value.text, labels: labels.value(of: adapter.name),
                headFile: heads.value(of: adapter.name), activation: activations.activation(of: adapter.name))
        }
    }

    /// Reads the adapters; warns of what a user should know of them.
    ///
    /// - Parameter allowsOtherBase: whether adapters of another base are used, with a warning.
    func open(over base: Checkpoint, _ log: Logger, allowsOtherBase: Bool) throws -> [Adapter] {
        try open(log, allowsOtherBase: allowsOtherBase) { _ in base }
    }

    /// The same, with a base for each.
    func open(
        _ log: Logger, allowsOtherBase: Bool, over base: (NamedAdapter) throws -> Checkpoint
    ) throws -> [Adapter] {
        let sources = sources
        return try sources.enumerated().map { index, source in
            try LongWork.report("reading adapters", index, of: sources.count)
            let base = try base(source)
            let adapter = try source.open(over: base, allowsOtherBase: allowsOtherBase)
            if adapter.hasPlaceholderNames {
                log.warning(
                    """
                    \(source.task): no class names beside \(source.path); they will be LABEL_0, LABEL_1 ... \
                    (--labels)
                    """)
            }
            try warn(of: [adapter], over: base, log)
            return adapter
        }
    }

    /// The recipe in a file, with the files that have moved where they are now.
    func recipe(_ path: String, base: TextArgument?) throws -> Recipe {
        var recipe = try Recipe(contentsOf: path)
        for (option, values) in [("--adapter", adapters), ("--labels", labels), ("--head", heads)] {
            for value in values where !recipe.adapters.contains(value.name) {
                let names = recipe.adapters.joined(separator: ", ")
                throw ValidationError("\(option) \(value.name)=...: the recipe has no such adapter; it has \(names).")
            }
        }
        if let base { recipe.move(base: base.text) }
        for adapter in adapters { try recipe.move(adapter: adapter.name, to: adapter.value.text) }
        for file in heads { try recipe.move(adapter: file.name, head: file.value.text) }
        for file in labels { try recipe.move(adapter: file.name, labels: file.value.text) }
        return recipe
    }

    /// Warns of what a user should know of adapters.
    func warn(of adapters: [Adapter], over base: Checkpoint, _ log: Logger) throws {
        for adapter in adapters {
            for warning in try adapter.warnings(over: base) {
                let text = "\(adapter.task): \(description(of: warning))"
                if warning.text == adapter.otherBase { warnOfOtherBase(text, log) } else { log.warning("\(text)") }
            }
        }
    }

    /// Warns that an adapter is used over another base: even if the command is quiet, unless the user asked for it by
    /// this option, since --force has another purpose, too.
    func warnOfOtherBase(_ text: String, _ log: Logger) {
        if otherBase.isAllowed {
            log.warning("\(text)")
        } else {
            StandardStream.error.write("mergevit: warning: \(text)\n")
        }
    }
}

/// What is merged: a base and adapters, or a recipe.
struct AdapterOptions: ParsableArguments {
    @Option(help: .init("DIR", "Hugging Face folder of the base model."))
    var base: TextArgument?

    @OptionGroup var named: NamedAdapterOptions

    @Option(
        name: .customLong("weight"), help: .init("NAME=W", "Weight of an adapter in the merge (default: 1)."))
    var weights: [Named<FiniteNumber>] = []

    @Option(
        help: .init(
            "FILE",
            """
            Repeat the merge that a bundle.json records. --base, --adapter, --labels and --head then say where files \
            that have moved are now.
            """))
    var recipe: TextArgument?

    @OptionGroup var preprocessor: PreprocessorOptions

    func validate() throws {
        try named.checkAdapters()
        guard recipe == nil else {
            if !weights.isEmpty { throw ValidationError("--weight: the --recipe has the weights.") }
            if !named.activations.isEmpty { throw ValidationError("--activation: the --recipe has the activations.") }
            return
        }
        if base == nil { throw ValidationError("Missing expected argument '--base <DIR>'") }
        try named.checkNames()
        try named.checkActivations()
        try Named.check(weights, option: "--weight", among: named.names)
    }

    /// Opens the base and reads the adapters; warns of what a user should know of them.
    ///
    /// - Parameter force: whether the user insists, so that adapters of another base are used with a warning.
    func open(_ log: Logger, force: Bool) throws -> (base: Checkpoint, adapters: [WeightedAdapter]) {
        let checkpoint = try Checkpoint(folder: base?.text ?? "", preprocessor: preprocessor.choice)
        try MergedBase.refuse(checkpoint.folder)
        try ModelBundle.check(checkpoint, heads: [])
        let adapters = try named.open(
            over: checkpoint, log, allowsOtherBase: force || named.otherBase.isAllowed)
        let opened = adapters.map { adapter in
            WeightedAdapter(adapter, weight: weights.first { $0.name == adapter.task }?.value.value ?? 1)
        }
        return (checkpoint, opened)
    }

    /// Where preprocessing settings come from for a merge that is repeated: the resize is the bundle's unless
    /// specified.
    func choice(_ recipe: String) throws -> PreprocessorChoice {
        var choice = preprocessor.choice
        if choice.resize == nil { choice.resize = try ModelBundle.resize(JSON(contentsOf: recipe), path: recipe) }
        return choice
    }
}
