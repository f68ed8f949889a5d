import ArgumentParser
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

    @OptionGroup var otherBase: OtherBaseOption

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
                + (adapters + labels).flatMap { [$0.name, $0.value] })
        guard (base != nil) == !adapters.isEmpty else { throw ValidationError("--base and --adapter go together.") }
        guard base != nil || !otherBase.isAllowed else { throw ValidationError("--allow-other-base needs --base.") }
        try NamedValue.check(adapters, option: "--adapter")
        for adapter in adapters {
            do { try ModelBundle.checkTaskName(adapter.name, path: "--adapter") } catch {
                throw ValidationError("\(error)")
            }
        }
        try NamedValue.check(labels, option: "--labels", among: adapters.map(\.name))
    }
}

/// The options of `evaluate` about the labelled images.
struct LabelledDataOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help:
            "A task's labelled images, as TASK=DIR of class folders or TASK=FILE.csv with path,label; may be repeated.")
    var data: [NamedValue] = []

    @OptionGroup var reading: LabelledReadingOptions

    @Flag(help: "Refuse data with classes that the head does not have, rather than leave them out.")
    var strict = false

    @Option(
        name: .customLong("min-accuracy"),
        help: "The least accuracy of a task (0...1), as TASK=0.9; below it the exit code is 1. May be repeated.")
    var minimums: [NamedValue] = []

    /// The names of the tasks.
    var tasks: [String] { data.map(\.name) }

    func validate() throws {
        guard !data.isEmpty else { throw ValidationError("Give at least one --data TASK=DIR.") }
        try RawArguments.checkText(data.map(\.name) + minimums.map(\.name))
        try NamedValue.check(data, option: "--data")
        try NamedValue.check(minimums, option: "--min-accuracy")
        for minimum in minimums {
            guard tasks.contains(minimum.name) else {
                throw ValidationError("--min-accuracy \(minimum.name)=...: there is no --data of that name.")
            }
            guard let value = Double(minimum.value), (0...1).contains(value) else {
                throw ValidationError(
                    "--min-accuracy \(minimum.name)=\(minimum.value): expected a number from 0 to 1.")
            }
        }
    }

    /// The least accuracy that is asked of a task, if any.
    func minimum(of task: String) -> Double? { minimums.value(of: task).flatMap(Double.init) }

    /// The labelled images of all tasks.
    ///
    /// - Parameters:
    ///   - needsFiles: whether the files that a table names have to be there.
    ///   - log: where notes about how they were read go.
    func images(needsFiles: Bool = true, _ log: Logger) throws -> [(task: String, images: LabelledImages)] {
        try data.map { item in
            let reading = reading.reading(item.name, needsFiles: needsFiles)
            let images = try LabelledImages(measuredOn: RawArguments.path(item.value), reading)
            for note in images.notes { log.warning("\(item.name): \(note)") }
            return (item.name, images)
        }
    }

    /// Warns of classes that the head does not have and of those without images, or refuses the former.
    func check(_ task: EvaluationTask, _ log: Logger) throws {
        if !task.unknown.isEmpty {
            let names = task.unknown.map { "\"\($0.name)\" (\($0.images))" }.joined(separator: ", ")
            let message = "\(task.name): the head has no class \(names)"
            guard !strict else { throw LabellingError.labelledImages(path: task.source, reason: message) }
            log.warning("\(message); \(task.unknownImages) image(s) left out")
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
