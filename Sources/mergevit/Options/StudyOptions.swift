import ArgumentParser
import Compute
import Training
import VisionTransformers
import Workflows

/// The tasks of a study.
struct StudyTaskOptions: ParsableArguments {
    @Option(
        name: .customLong("data"),
        help: .init("TASK=DATA", "A task's labelled images, as for train; repeat for each task, at least two."))
    var data: [Named<PathArgument>] = []

    @Option(name: .customLong("adapter"), help: .init("TASK=DIR", "A task's adapter (default: it is trained)."))
    var adapters: [NamedValue] = []

    @Option(
        name: .customLong("head-alone"),
        help: .init("TASK=FILE", "A task's head that was trained over the unchanged base (default: it is trained)."))
    var heads: [NamedValue] = []

    /// The tasks.
    var tasks: [StudyJob.Task] {
        data.map { task in
            StudyJob.Task(
                name: task.name, data: task.value.path, adapter: adapters.value(of: task.name),
                head: heads.value(of: task.name))
        }
    }

    func validate() throws {
        guard data.count >= 2 else { throw ValidationError("Give at least two --data TASK=DATA.") }
        try Named.check(data, option: "--data")
        let names = data.map(\.name)
        for name in names {
            do { try ModelBundle.checkTaskName(name, path: "--data") } catch { throw ValidationError("\(error)") }
        }
        try Named.check(adapters, option: "--adapter", among: names, of: "--data")
        try Named.check(heads, option: "--head-alone", among: names, of: "--data")
    }
}

/// The merges of a study.
struct StudyPlanOptions: ParsableArguments {
    @Option(
        help: .init(
            "LIST",
            """
            Methods to compare, separated by commas: METHOD, followed by any of +tune, +streams and +align (default: \
            \(Self.usualMethods.joined(separator: ","))).
            """))
    var methods: TextArgument?

    @Option(help: .init("LIST", "Numbers of tasks to merge, separated by commas (default: 1,2,3 and all)."))
    var sizes: TextArgument?

    @Flag(
        help:
            "Choose the scale of every method by its agreement with the single adapters on unlabelled training images.")
    var tune = false

    @Flag(help: "Also measure every method with heads aligned with the merged backbone.")
    var align = false

    /// What is tried unless methods are named.
    static let usualMethods = ["sum", "sum+tune", "sum+tune+align", "regmean+tune", "regmean+streams+align"]

    /// Which merges of some tasks are made.
    func plan(_ tasks: [StudyJob.Task]) throws -> StudyPlan {
        let names = methods?.text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        var variants = try (names ?? (tune || align ? ["sum"] : Self.usualMethods)).map { try StudyVariant($0) }
        if tune { variants = variants.map(\.tuned) }
        if align { variants = variants.flatMap { [$0, $0.aligned] } }
        // What cannot choose a scale is refused whichever option asked for it.
        for variant in variants { _ = try StudyVariant(variant.name) }
        let sizes = try sizes?.text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let size = Int(part) else { throw StudyPlanError.sizes("\"\(part)\" is not a whole number") }
            return size
        }
        return try StudyPlan(tasks: tasks.map(\.name), sizes: sizes, variants: variants)
    }
}

/// How a study is measured.
struct StudyRunOptions: ParsableArguments {
    @Option(help: .init("N", "Number of unlabelled training images per task that scales and heads are fitted on."))
    var calibrationImages = 800

    @Option(help: .init("N", "Number of these that choose a scale."))
    var tuningImages = 120

    @Option(help: .init("N", "Number of passes over the images when an adapter is trained."))
    var epochs = 12

    @Option(help: .init("N", "Number of passes over the images when a head is trained."))
    var headEpochs = 120

    @Option(help: .init("N", "Seed of training and of the bootstrap samples."))
    var seed: UInt64 = 0

    @Option(
        help: .init(
            "PRECISION",
            "Number format of all models, and of what is trained: f32, or bf16, which is about twice as fast."))
    var precision = OperandType.f32

    @OptionGroup var otherBase: OtherBaseOption

    @OptionGroup var statistics: BootstrapOption
    @OptionGroup var memory: ImageMemoryOption
    @OptionGroup var cache: FeatureCacheOptions
    @OptionGroup var decoding: DecodingArguments

    func validate() throws {
        try check("--calibration-images", calibrationImages, in: 10...1_000_000)
        try check("--tuning-images", tuningImages, in: 1...1_000_000)
        try check("--epochs", epochs, in: 1...1_000_000)
        try check("--head-epochs", headEpochs, in: 1...1_000_000)
    }
}
