import ArgumentParser
import Labelling
import Training
import VisionTransformers
import Workflows

/// A task of a study: `NAME=DATA[,ADAPTER[,HEAD]]`.
struct StudyTaskArgument: ExpressibleByArgument {
    let task: StudyJob.Task

    init?(argument: String) {
        guard let named = NamedValue(argument: argument) else { return nil }
        let parts = named.value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 3, !parts[0].isEmpty else { return nil }
        func place(_ index: Int) -> String? {
            parts.indices.contains(index) && !parts[index].isEmpty ? parts[index] : nil
        }
        task = StudyJob.Task(
            name: named.name, data: RawArguments.path(parts[0]), adapter: place(1), head: place(2))
    }

    static var defaultCompletionKind: CompletionKind { .directory }
}

/// The options of `study` about which merges are made.
struct StudyPlanOptions: ParsableArguments {
    @Option(
        name: .customLong("task"),
        help: """
            A task, as NAME=DATA[,ADAPTER[,HEAD]]: its images, its adapter, and a head trained over the base as it is; what is \
            not given is trained. May be repeated.
            """)
    var tasks: [StudyTaskArgument] = []

    @Option(
        help: """
            How adapters are merged, separated by commas: METHOD, METHOD+tune, METHOD+align, METHOD+tune+align (default: \
            \(Self.usualMethods.joined(separator: ","))).
            """)
    var methods: String?

    @Option(help: "How many tasks are merged, separated by commas (default: 1,2,3 and all).")
    var sizes: String?

    @Flag(
        help:
            "Choose the scale of every method by its agreement with the single adapters on unlabelled training images.")
    var tune = false

    @Flag(help: "Also measure every method with heads aligned with the merged backbone.")
    var align = false

    /// What is tried unless methods are named.
    static let usualMethods = ["sum", "sum+tune", "sum+tune+align", "regmean+tune"]

    func validate() throws {
        guard tasks.count >= 2 else { throw ValidationError("Give at least two --task NAME=DATA[,ADAPTER[,HEAD]].") }
        try RawArguments.checkText(
            tasks.flatMap { [$0.task.name, $0.task.adapter, $0.task.head].compactMap(\.self) })
        var seen: Set<String> = []
        for task in tasks.map(\.task) {
            do { try ModelBundle.checkTaskName(task.name, path: "--task") } catch { throw ValidationError("\(error)") }
            guard seen.insert(task.name).inserted else {
                throw ValidationError("--task \(task.name)=... is given twice.")
            }
        }
        do { _ = try plan } catch let error as ModelError { throw ValidationError("\(error)") }
    }

    /// Which merges are made.
    var plan: StudyPlan {
        get throws {
            let names = methods?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            var variants = try (names ?? (tune || align ? ["sum"] : Self.usualMethods)).map { try StudyVariant($0) }
            if tune { variants = variants.map(\.tuned) }
            if align { variants = variants.flatMap { [$0, $0.aligned] } }
            // What cannot choose a scale is refused whichever option asked for it.
            for variant in variants { _ = try StudyVariant(variant.name) }
            let sizes = try sizes?.split(separator: ",", omittingEmptySubsequences: false).map { part in
                guard let size = Int(part) else {
                    throw ModelError("--sizes", "\"\(part)\" is not a whole number")
                }
                return size
            }
            return try StudyPlan(tasks: tasks.map(\.task.name), sizes: sizes, variants: variants)
        }
    }
}

/// The options of `study` about how it goes.
struct StudyRunOptions: ParsableArguments {
    @Option(help: "How many training images of a task scales and heads are fitted on, without their labels.")
    var calibrationImages = 800

    @Option(help: "How many of these a scale is chosen by.")
    var tuningImages = 120

    @Option(help: "How often an adapter that is trained sees every training image.")
    var epochs = 12

    @Option(help: "How often a head that is trained does.")
    var headEpochs = 120

    @Option(help: "What training is drawn from.")
    var seed: UInt64 = 0

    @Option(help: "The most memory for decoded images, in MiB.")
    var imageMemory = 4096

    @Option(help: "How many threads to use (1...256; default: the processors available to the process).")
    var threads: Int?

    @OptionGroup var decoding: DecodingArguments

    @OptionGroup var otherBase: OtherBaseOption

    @Option(help: "How many samples the intervals of means on the page are computed from; 0 for no such intervals.")
    var bootstrap = 1000

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "\(option) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
            }
        }
        try check("--calibration-images", calibrationImages, 10...1_000_000)
        try check("--tuning-images", tuningImages, 1...1_000_000)
        try check("--epochs", epochs, 1...1_000_000)
        try check("--head-epochs", headEpochs, 1...1_000_000)
        try check("--image-memory", imageMemory, 1...1 << 24)
        try check("--bootstrap", bootstrap, 0...1_000_000)
        if let threads { try check("--threads", threads, 1...256) }
    }
}
