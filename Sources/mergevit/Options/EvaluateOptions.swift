import ArgumentParser
import Datasets
import Evaluation
import Files
import Labelling
import Logging
import VisionTransformers

/// The options of `evaluate` about what is evaluated: one of four.
struct EvaluatedOptions: ParsableArguments {
    @Option(help: "The folder of a merged model.")
    var bundle: String?

    @Option(help: "The Hugging Face folder of the base; evaluates each --adapter over it alone.")
    var base: String?

    @Option(name: .customLong("adapter"), help: "With --base: an adapter or head, as NAME=DIR; may be repeated.")
    var adapters: [NamedValue] = []

    @Option(name: .customLong("labels"), help: "The class names of an adapter, as NAME=FILE; may be repeated.")
    var labels: [NamedValue] = []

    @OptionGroup var headFiles: HeadFileOption

    @OptionGroup var otherBase: OtherBaseOption
    @Option(
        name: .customLong("activation"),
        help: """
            With --adapter or --predictions: what a head's answers are, as NAME=softmax, NAME=sigmoid (any number of \
            labels) or NAME=none (values); may be repeated.
            """)
    var activations: [NamedValue] = []

    @Option(help: "A CSV or TSV that label wrote; no model is run.")
    var predictions: String?

    @Option(parsing: .upToNextOption, help: "Two merged models: where they differ, and whether it means anything.")
    var compare: [String] = []

    /// What is evaluated.
    enum Subject {
        case bundle(String)
        case adapters(base: String)
        case predictions(BytePath)
        case pair(String, String)
    }

    /// What is evaluated.
    func subject() throws -> Subject {
        let given = [bundle != nil, base != nil, predictions != nil, !compare.isEmpty].count { $0 }
        guard given == 1 else {
            throw ValidationError("Give one of --bundle, --base with --adapter, --predictions and --compare.")
        }
        if let bundle { return .bundle(bundle) }
        if let base { return .adapters(base: base) }
        if let predictions { return .predictions(RawArguments.path(predictions)) }
        return .pair(compare[0], compare[1])
    }

    func validate() throws {
        guard compare.isEmpty || compare.count == 2 else {
            throw ValidationError("--compare takes two folders, found \(compare.count).")
        }
        _ = try subject()
        try RawArguments.checkText(
            [bundle, base, predictions].compactMap(\.self) + compare
                + (adapters + labels + headFiles.heads).flatMap { [$0.name, $0.value] })
        guard (base != nil) == !adapters.isEmpty else { throw ValidationError("--base and --adapter go together.") }
        guard base != nil || !otherBase.isAllowed else { throw ValidationError("--allow-other-base needs --base.") }
        try NamedValue.check(adapters, option: "--adapter")
        for adapter in adapters {
            do { try ModelBundle.checkTaskName(adapter.name, path: "--adapter") } catch {
                throw ValidationError("\(error)")
            }
        }
        try NamedValue.check(labels, option: "--labels", among: adapters.map(\.name))
        try NamedValue.check(headFiles.heads, option: "--head", among: adapters.map(\.name))
        guard activations.isEmpty || base != nil || predictions != nil else {
            throw ValidationError("--activation goes with --adapter and --predictions; a merged model has its own.")
        }
        try NamedValue.check(activations, option: "--activation", among: base != nil ? adapters.map(\.name) : nil)
        for given in activations where HeadActivation(rawValue: given.value) == nil {
            throw ValidationError(
                "--activation \(given.name)=\(given.value): expected one of \(HeadActivation.names).")
        }
    }

    /// The activation that is given for a task, if any.
    func activation(of task: String) -> HeadActivation? {
        activations.value(of: task).flatMap(HeadActivation.init(rawValue:))
    }
}

/// The options of `evaluate` about the labelled images.
struct LabelledDataOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help: """
            A task's labelled images, as TASK=DIR of class folders or TASK=FILE.csv with path,label; may be repeated. \
            Where images show several labels, or values, it is a table.
            """)
    var data: [NamedValue] = []

    @OptionGroup var reading: LabelledReadingOptions

    @Option(
        name: .customLong("threshold"),
        help: """
            The least probability of a label where images show several (0...1; default: 0.5, with --predictions the \
            labels in the file), for all tasks or as TASK=0.3; may be repeated.
            """)
    var thresholds: [ThresholdArgument] = []

    @Option(help: "What separates the labels of a cell where images show several (default: |).")
    var labelSeparator: String?

    @Flag(help: "Refuse data with classes that the head does not have, rather than leave them out.")
    var strict = false

    @Option(
        name: .customLong("min-accuracy"),
        help: "The least accuracy of a task (0...1), as TASK=0.9; below it the exit code is 4. May be repeated.")
    var minimums: [NamedValue] = []

    @Option(
        name: .customLong("min-map"),
        help: "The same for the mean average precision of a task whose images show several labels.")
    var minimumPrecisions: [NamedValue] = []

    /// The names of the tasks.
    var tasks: [String] { data.map(\.name) }

    func validate() throws {
        guard !data.isEmpty else { throw ValidationError("Give at least one --data TASK=DIR.") }
        try RawArguments.checkText(data.map(\.name) + minimums.map(\.name))
        try NamedValue.check(data, option: "--data")
        for (option, values) in [("--min-accuracy", minimums), ("--min-map", minimumPrecisions)] {
            try NamedValue.check(values, option: option)
            for minimum in values {
                guard tasks.contains(minimum.name) else {
                    throw ValidationError("\(option) \(minimum.name)=...: there is no --data of that name.")
                }
                guard let value = Double(minimum.value), (0...1).contains(value) else {
                    throw ValidationError(
                        "\(option) \(minimum.name)=\(minimum.value): expected a number from 0 to 1.")
                }
            }
        }
        try ThresholdArgument.check(thresholds)
        for case let task? in thresholds.map(\.task) where !tasks.contains(task) {
            throw ValidationError("--threshold \(task)=...: there is no --data of that name.")
        }
        if let labelSeparator { try SeparatorArgument.check(labelSeparator) }
    }

    /// What separates the labels of a cell.
    var separator: String { labelSeparator ?? MultiLabelImages.usualSeparator }

    /// The least accuracy or mean average precision that is asked of a task, if any.
    func minimum(of task: String) -> Double? {
        (minimums.value(of: task) ?? minimumPrecisions.value(of: task)).flatMap(Double.init)
    }

    /// The least probability of a label that is given for a task, if any.
    func threshold(of task: String) -> Double? {
        (thresholds.first { $0.task == task } ?? thresholds.first { $0.task == nil })?.value
    }

    /// The path of a task's data.
    private func path(of task: String) -> BytePath { RawArguments.path(data.value(of: task) ?? "") }

    /// The labelled images of a task whose images show one class.
    ///
    /// - Parameters:
    ///   - needsFiles: whether the files that a table names have to be there.
    ///   - log: where notes about how they were read go.
    func classImages(of task: String, needsFiles: Bool = true, _ log: Logger) throws -> LabelledImages {
        let images = try LabelledImages(
            measuredOn: path(of: task), reading.reading(task, needsFiles: needsFiles))
        for note in images.notes { log.warning("\(task): \(note)") }
        return images
    }

    /// The labelled images of a task whose images show any number of labels.
    func labelImages(of task: String, needsFiles: Bool = true, _ log: Logger) throws -> MultiLabelImages {
        let images = try MultiLabelImages(
            measuredOn: path(of: task), reading.reading(task, needsFiles: needsFiles), separator: separator)
        for note in images.notes { log.warning("\(task): \(note)") }
        return images
    }

    /// The images of a task with a value for each output.
    func values(of task: String, outputs: [String], needsFiles: Bool = true, _ log: Logger) throws -> ImageValues {
        let images = try ImageValues(
            measuredOn: path(of: task), reading.reading(task, needsFiles: needsFiles), task: task, outputs: outputs)
        for note in images.notes { log.warning("\(task): \(note)") }
        return images
    }

    /// The images of a task as its head answers them. Warns of classes that do not fit.
    func evaluationTask(of head: TaskLabels, _ log: Logger) throws -> EvaluationTask {
        let task =
            switch head.activation {
            case .softmax:
                try EvaluationTask(name: head.name, classes: head.classes, images: classImages(of: head.name, log))
            case .sigmoid:
                try EvaluationTask(name: head.name, classes: head.classes, images: labelImages(of: head.name, log))
            case .identity:
                EvaluationTask(name: head.name, images: try values(of: head.name, outputs: head.classes, log))
            }
        try check(task, log)
        return task
    }

    /// Checks that the options are about metrics that the tasks' heads have.
    ///
    /// - Throws: `LabellingError.options` naming the option and the task.
    func checkOptions(_ heads: [(task: String, activation: HeadActivation)]) throws {
        for (task, activation) in heads {
            let head = "the head has activation \(activation.rawValue)"
            if minimums.value(of: task) != nil, activation != .softmax {
                throw LabellingError.options(
                    "--min-accuracy \(task)=...: \(head), so there is no top-1 accuracy"
                        + (activation == .sigmoid ? "; --min-map \(task)=... sets a least mean average precision" : ""))
            }
            if minimumPrecisions.value(of: task) != nil, activation != .sigmoid {
                throw LabellingError.options(
                    "--min-map \(task)=...: \(head); mean average precision is for images of several labels"
                        + (activation == .softmax ? "; --min-accuracy \(task)=... sets a least accuracy" : ""))
            }
            if thresholds.contains(where: { $0.task == task }), activation != .sigmoid {
                throw LabellingError.options(
                    "--threshold \(task)=...: \(head); thresholds are for images of several labels")
            }
        }
        for (option, isGiven) in [("--threshold", !thresholds.isEmpty), ("--label-separator", labelSeparator != nil)] {
            guard !isGiven || heads.contains(where: { $0.activation == .sigmoid }) else {
                throw LabellingError.options(
                    "\(option) is for images of several labels; no task has a head with a sigmoid")
            }
        }
    }

    /// Warns of classes that the head does not have and of those without images, or refuses the former.
    func check(_ task: EvaluationTask, _ log: Logger) throws {
        if !task.unknown.isEmpty {
            let names = task.unknown.map { "\"\($0.name)\" (\($0.images))" }.joined(separator: ", ")
            let message = "\(task.name): the head has no class \(names)"
            guard !strict else { throw FileError(path: task.source, reason: message) }
            let what = task.activation == .sigmoid ? "these labels" : "\(task.unknownImages) image(s)"
            log.warning("\(message); \(what) left out")
        }
        let empty = task.classesWithoutImages
        if !empty.isEmpty {
            log.warning(
                "\(task.name): \(empty.count) of \(task.classes.count) classes have no images: \(Self.some(empty))")
        }
    }

    /// The first few names, and how many more there are.
    private static func some(_ names: [String]) -> String {
        let shown = names.prefix(5).joined(separator: ", ")
        return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
    }
}

/// The options of `evaluate` about what comes out.
struct ReportOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "Write a report to this folder: metrics.json, metrics.csv, predictions.csv, report.html.")
    var output: String?

    @Flag(help: "Replace a report that is there already.")
    var force = false

    @Option(help: "How many samples the intervals of means are computed from; 0 for no such intervals.")
    var bootstrap = 1000

    @Option(help: "What these samples are drawn from.")
    var seed: UInt64 = 0

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([output].compactMap(\.self))
        guard (0...1_000_000).contains(bootstrap) else {
            throw ValidationError("--bootstrap must be from 0 to 1000000, not \(bootstrap).")
        }
        guard output != nil || !force else { throw ValidationError("--force needs -o.") }
    }

    /// The same for the metrics.
    var bootstrapOptions: BootstrapOptions { BootstrapOptions(resamples: bootstrap, seed: seed) }
}

extension ThresholdArgument {
    /// Checks that thresholds are probabilities, and that none is given twice.
    static func check(_ thresholds: [ThresholdArgument]) throws {
        var limited: Set<String?> = []
        for threshold in thresholds {
            guard threshold.value >= 0, threshold.value <= 1 else {
                throw ValidationError("--threshold must be from 0 to 1, not \(threshold.value).")
            }
            guard limited.insert(threshold.task).inserted else {
                let name = threshold.task.map { " \($0)=..." } ?? ""
                throw ValidationError("--threshold\(name) is given twice.")
            }
        }
    }
}
