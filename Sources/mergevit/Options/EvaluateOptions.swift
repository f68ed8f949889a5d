import ArgumentParser
import Evaluation
import VisionTransformers
import Workflows

/// What `evaluate` evaluates: one of four.
struct SubjectOptions: ParsableArguments {
    @Option(help: .init("DIR", "A merged model."))
    var bundle: TextArgument?

    @Option(help: .init("DIR", "Hugging Face folder of the base model; evaluates each --adapter over it alone."))
    var base: TextArgument?

    @Flag(
        help: """
            With --bundle: also evaluate each task's own adapter, alone, and say what merging costs. The bundle's \
            recipe has the adapters; --base, --adapter, --labels and --head say where files that have moved are now.
            """)
    var own = false

    @Option(help: .init("FILE", "A CSV or TSV that label wrote; no model is run."))
    var predictions: TextArgument?

    @Option(
        parsing: .upToNextOption, help: .init("DIR", "Two merged models: where they differ, and how significantly."))
    var compare: [TextArgument] = []

    /// What is evaluated.
    enum Subject {
        case model(EvaluationJob.Subject)
        /// A bundle, and the adapters of its recipe.
        case withOwn(String)
        case pair(String, String)
    }

    /// What is evaluated.
    func subject(_ adapters: NamedAdapterOptions) throws -> Subject {
        if own, let bundle, predictions == nil, compare.isEmpty { return .withOwn(bundle.text) }
        guard !own else { throw ValidationError("--own needs --bundle, without --predictions or --compare.") }
        let given = [bundle != nil, base != nil, predictions != nil, !compare.isEmpty].count { $0 }
        guard given == 1 else {
            throw ValidationError(
                given == 0
                    ? "Give one of --bundle, --base with --adapter, --predictions and --compare."
                    : "--bundle, --base, --predictions and --compare exclude each other; give one.")
        }
        if let bundle { return .model(.bundle(bundle.text)) }
        if let base {
            return .model(
                .adapters(adapters.sources, base: base.text, allowsOtherBase: adapters.otherBase.isAllowed))
        }
        if let predictions {
            let activations = adapters.activations.map { ($0.name, $0.value) }
            return .model(
                .predictions(
                    RawArguments.path(predictions.text), activations: Dictionary(uniqueKeysWithValues: activations)))
        }
        guard compare.count == 2 else {
            throw ValidationError("--compare takes two folders, found \(compare.count).")
        }
        return .pair(compare[0].text, compare[1].text)
    }

    /// Checks what the options mean together.
    func check(_ adapters: NamedAdapterOptions) throws {
        _ = try subject(adapters)
        if own {
            guard adapters.activations.isEmpty, !adapters.otherBase.isAllowed else {
                throw ValidationError("--own: the recipe has the activations and the base; omit --activation and such.")
            }
            return try adapters.checkAdapters()
        }
        guard (base != nil) == !adapters.adapters.isEmpty else {
            throw ValidationError("--base and --adapter go together.")
        }
        guard base != nil || !adapters.otherBase.isAllowed else {
            throw ValidationError("--allow-other-base needs --base.")
        }
        try adapters.checkAdapters()
        try adapters.checkNames()
        guard adapters.activations.isEmpty || base != nil || predictions != nil else {
            throw ValidationError("--activation goes with --adapter and --predictions; a merged model has its own.")
        }
        if base != nil { try adapters.checkActivations() }
    }
}

/// The labelled images of `evaluate`.
struct LabelledDataOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help: .init(
            "TASK=DIR",
            """
            A task's labelled images: a folder with a folder per class, or a CSV or TSV with path and label, which \
            images of several labels or of values need; repeat for each task.
            """))
    var data: [Named<PathArgument>] = []

    @OptionGroup var reading: LabelledReadingOptions

    @Option(help: .init("TEXT", "Separator of the labels in a cell, for images of several labels (default: |)."))
    var labelSeparator: SeparatorArgument?

    @Flag(help: "Reject images of classes that the head does not have, instead of leaving them out.")
    var strict = false

    @Option(
        name: .customLong("threshold"),
        help: .init(
            "[TASK=]P",
            """
            Smallest probability of a label (0 to 1), for images of several labels; for all tasks or for one, may be \
            repeated (default: 0.5, with --predictions the labels in FILE).
            """))
    var thresholds: [ThresholdArgument] = []

    @Option(
        name: .customLong("min-accuracy"),
        help: .init("TASK=A", "Exit with 4 if the task's accuracy is below A (0 to 1); may be repeated."))
    var minimums: [Named<FractionArgument>] = []

    @Option(
        name: .customLong("min-map"),
        help: .init("TASK=A", "The same for the mean average precision of a task with several labels."))
    var minimumPrecisions: [Named<FractionArgument>] = []

    /// The names of the tasks.
    var tasks: [String] { data.map(\.name) }

    func validate() throws {
        guard !data.isEmpty else { throw ValidationError("Give at least one --data TASK=DIR.") }
        try Named.check(data, option: "--data")
        for (option, values) in [("--min-accuracy", minimums), ("--min-map", minimumPrecisions)] {
            try Named.check(values, option: option)
            for minimum in values { try checkTask(minimum.name, option) }
        }
        try ThresholdArgument.check(thresholds, "--threshold")
        for case let task? in thresholds.map(\.task) { try checkTask(task, "--threshold") }
    }

    /// Checks that there is data of a task that an option names.
    func checkTask(_ task: String, _ option: String) throws {
        guard !tasks.contains(task) else { return }
        throw ValidationError("\(option) \(task)=...: there is no --data of that name.")
    }

    /// The data of all tasks, and how it is read.
    var settings: EvaluationData {
        var settings = EvaluationData(
            tasks: data.map { task in
                .init(
                    name: task.name, path: task.value.path,
                    threshold: thresholds.first { $0.task == task.name }?.value,
                    minimumAccuracy: minimums.first { $0.name == task.name }?.value.value,
                    minimumPrecision: minimumPrecisions.first { $0.name == task.name }?.value.value)
            }, reading: reading.reading(""))
        settings.labelSeparator = labelSeparator?.text
        settings.threshold = thresholds.first { $0.task == nil }?.value
        settings.isStrict = strict
        return settings
    }
}

/// The report of `evaluate`.
struct ReportOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: .init("DIR", "Write a report: metrics.json, metrics.csv, predictions.csv and report.html."))
    var output: TextArgument?

    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var statistics: BootstrapOption

    @Option(help: .init("N", "Seed of the bootstrap samples."))
    var seed: UInt64 = 0

    func validate() throws {
        guard output != nil || !replacing.force else { throw ValidationError("--force needs -o.") }
    }

    /// How intervals of means are computed.
    var bootstrap: BootstrapOptions { BootstrapOptions(resamples: statistics.bootstrap, seed: seed) }
}
