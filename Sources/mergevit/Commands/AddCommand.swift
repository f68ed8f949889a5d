import Adapters
import ArgumentParser
import Logging
import VisionTransformers
import Workflows

/// `mergevit add`.
struct AddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add tasks to a bundle; the others' predictions keep every bit.",
        discussion: """
            Bundles of merge --streams: the patch tokens stay as they are, and the stream of a new task is made over \
            them from its own adapter and, with --calibration, its own unlabelled images; the other tasks' adapters \
            and images are not needed. Over --method base a task that is added gets the same stream as one that is \
            merged together with the others. The base is in the bundle.

            Other bundles: a head alone that was trained over the bundle (train --head-only --base BUNDLE) reads its \
            backbone. An adapter joins with a backbone of its own, made of the base that the bundle was merged over, \
            and predicts exactly what it does by itself; every backbone is a pass over each image.

            With --calibration, label tells how well an image fits the new tasks, too, as after fit; of tasks that \
            share a backbone only if the others have fits.

            Adapters that were trained over another base are refused. With the bundle's own folder as -o, --force \
            replaces it once the new one is complete.

            Example:
              mergevit add --bundle birds-and-cars --adapter dogs=adapters/dogs --calibration photos/dogs -o three

            Exit codes: 0 written; 2 wrong usage; 3 the bundle, an adapter, images or the output cannot be used; 130 \
            or 143 stopped by a signal.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Required") var output: OutputFolderOption
    @OptionGroup(title: "Adapters") var named: NamedAdapterOptions

    @Option(
        help: .init(
            "DIR", "Bundles without streams: where the base of the merge is now (default: where it was)."))
    var base: TextArgument?

    @Option(help: .init("N", "Rank of the maps from shared patch tokens to a task's own (default: as in the merge)."))
    var streamRank: Int?

    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Calibration") var images: CalibrationImageOptions

    @Option(help: .init("N", "Seed of drawn pictures."))
    var seed: UInt64 = 0

    @OptionGroup var threads: ThreadOption
    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    func validate() throws {
        guard !named.adapters.isEmpty else { throw ValidationError("Give at least one --adapter NAME=DIR.") }
        try named.checkAdapters()
        try named.checkNames()
        try named.checkActivations()
        try images.check(tasks: named.names)
        if let streamRank, streamRank < 1 {
            throw ValidationError("--stream-rank must be at least 1, not \(streamRank).")
        }
        guard !images.align || !images.folders.isEmpty else { throw ValidationError("--align needs --calibration.") }
        guard images.precision == nil || !images.folders.isEmpty else {
            throw ValidationError("--precision needs --calibration.")
        }
        guard !images.cache.isGiven || !images.folders.isEmpty || images.isHoldoutGiven else {
            throw ValidationError("--feature-cache needs --calibration or --holdout.")
        }
        guard images.holding.groupBy == nil || !images.folders.isEmpty || images.isHoldoutGiven else {
            throw ValidationError("--group-by needs --calibration or --holdout.")
        }
    }

    func run() throws {
        try showingStages(isQuiet: quiet.isQuiet) {
            let edited = try EditedBundle(bundle.bundle.text)
            try edited.check(adding: named.names)
            try edited.hasStreams ? addStreams(to: edited) : join(edited)
        }
    }

    private func addStreams(to edited: EditedBundle) throws {
        guard self.base == nil else { throw ValidationError("--base: a bundle with streams has the base in it.") }
        let log = quiet.log
        let base = try edited.base()
        let adapters = try named.open(over: base, log, allowsOtherBase: named.otherBase.isAllowed)
        try ModelBundle.check(base, heads: adapters.map(\.head))
        var job = TaskAdditionJob(
            bundle: edited, base: base, adapters: adapters, settings: streamRank.map { StreamSettings(rank: $0) },
            calibration: images.folders.isEmpty
                ? nil : try images.settings(tasks: named.names, seed: seed, threads: threads.count),
            output: MergeJob.Output(output.path, form: .bundle, replaces: replacing.force))
        job.holdout = images.holdout(tasks: named.names, threads: threads.count)
        job.featureCache = images.cache.settings
        var display = MergeDisplay(isQuiet: quiet.isQuiet)
        let result = try job.run { event in
            switch event {
            case .warning(let warning): log.warning("\(description(of: warning))")
            case .writing(let discard): Interruption.ends(cleanup: discard)
            default: break
            }
            display.show(event)
            return true
        }
        display.say(result, into: output.path)
    }

    /// Adds tasks to a bundle without streams.
    private func join(_ edited: EditedBundle) throws {
        let makesFits = try images.makesFits(tasks: named.names.count)
        guard streamRank == nil, images.folders.isEmpty || makesFits, !images.isHoldoutGiven, !images.align else {
            throw ValidationError(
                """
                --stream-rank, --align, --holdout, and --calibration but for fits: the bundle has no streams; a head \
                reads its backbone, and an adapter gets one of its own, both as they were trained.
                """)
        }
        guard images.precision == nil else {
            throw ValidationError("--precision: the bundle has no streams; fits of added tasks are made in f32.")
        }
        guard !images.cache.isGiven else {
            throw ValidationError("--feature-cache: the bundle has no streams; no features of adapters are computed.")
        }
        let log = quiet.log
        let merged = try Checkpoint(folder: bundle.bundle.text)
        var base: Checkpoint?
        var heads: Set<String> = []
        let adapters = try named.open(log, allowsOtherBase: named.otherBase.isAllowed) { source in
            guard try !Adapter.isHeadAlone(source.path) else {
                heads.insert(source.task)
                return merged
            }
            if base == nil { base = try edited.mergedBase(at: self.base?.text) }
            return base ?? merged
        }
        let items = adapters.map { adapter in
            heads.contains(adapter.task)
                ? TaskJoiningJob.Item.head(adapter) : .adapter(adapter, base: base ?? merged)
        }
        try ModelBundle.check(merged, heads: adapters.map(\.head))
        let job = TaskJoiningJob(
            bundle: edited, items: items,
            calibration: makesFits
                ? try images.settings(tasks: named.names, seed: seed, threads: threads.count) : nil,
            output: output.path, replaces: replacing.force)
        let result = try job.run(
            started: { discard in Interruption.ends(cleanup: discard) },
            warn: { log.warning("\(description(of: $0))") })
        MergeDisplay(isQuiet: quiet.isQuiet).say(result, into: output.path)
    }
}
