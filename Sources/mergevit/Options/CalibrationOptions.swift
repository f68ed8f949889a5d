import Adapters
import ArgumentParser
import Workflows

/// The options about images that a merge is compared with its single adapters on.
struct CalibrationOptions: ParsableArguments {
    @Option(
        name: .customLong("calibration"),
        help: .init("[NAME=]DIR", "Unlabelled images of one task, or for all tasks; may be repeated."))
    var folderArguments: [TextArgument] = []

    @Option(
        name: .customLong("labelled"),
        help: .init(
            "NAME=DATA",
            "Labelled images of a task to tune by: a folder with a folder per class, or a table; may be repeated."))
    var labelled: [NamedValue] = []

    @Flag(help: "Align each head with the merged backbone on the calibration images.")
    var align = false

    @Option(help: .init("N", "Rank of the alignment (default: full)."))
    var alignRank: Int?

    @Flag(help: "Choose the scale on the calibration images: by labels where they are known, else by agreement.")
    var tune = false

    @Flag(help: "Like --tune, and search the method's other parameters that --set does not give.")
    var tuneAll = false

    @Option(
        help: .init(
            "PERCENT",
            """
            Find the fewest groups of tasks such that each task keeps all but PERCENT of its single adapter's labels; \
            implies --align.
            """))
    var maxDrop: Double?

    @OptionGroup var threads: ThreadOption

    /// The folders of images.
    var folders: [String] { folderArguments.map(\.text) }

    func validate() throws {
        try NamedValue.check(labelled, option: "--labelled")
        guard !isUsed || isGiven else {
            throw ValidationError("--align, --tune, --tune-all and --max-drop need --calibration.")
        }
        guard labelled.isEmpty || isTuned else { throw ValidationError("--labelled needs --tune.") }
        if let maxDrop, !(maxDrop >= 0 && maxDrop <= 100) {
            throw ValidationError("--max-drop must be from 0 to 100, not \(maxDrop).")
        }
        guard align || alignRank == nil else { throw ValidationError("--align-rank needs --align.") }
        if let alignRank, alignRank < 1 { throw ValidationError("--align-rank must be at least 1, not \(alignRank).") }
    }

    /// Checks that images are given for tasks that there are.
    ///
    /// - Throws: `ValidationError` naming the tasks.
    func check(tasks: [String]) throws {
        let named = folders.compactMap(Self.named).map { ("--calibration", $0.name) }
        for (option, name) in named + labelled.map({ ("--labelled", $0.name) }) where !tasks.contains(name) {
            let known = tasks.isEmpty ? "there are none" : "there are \(tasks.joined(separator: ", "))"
            let hint = option == "--calibration" ? " For a folder with = in its name write ./\(name)=..." : ""
            throw ValidationError("\(option) \(name)=...: there is no task of that name; \(known).\(hint)")
        }
    }

    /// A folder for one task; nil for one for all, whose path may hold a = behind a slash.
    private static func named(_ folder: String) -> NamedValue? {
        (try? NamedValue(argument: folder)).flatMap { $0.name.contains("/") ? nil : $0 }
    }

    /// Whether there is anything to do with calibration images.
    var isUsed: Bool { align || isTuned || maxDrop != nil }

    /// Whether the scale is to be chosen.
    var isTuned: Bool { tune || tuneAll }

    /// Whether any images are given.
    var isGiven: Bool { !folders.isEmpty || !labelled.isEmpty }

    /// What is chosen on the images.
    ///
    /// - Parameters:
    ///   - plan: the merge. The scale of one that is then distilled is chosen unless it is given.
    ///   - method: the options that give the scale, and parameters that are not searched.
    func tuning(_ plan: MergePlan, _ method: MethodOptions) -> MergeJob.Tuning {
        if tuneAll { return .parameters(except: Set(method.parameters.map(\.name))) }
        if tune { return .scale }
        return plan.distillation != nil && !method.givesScale ? .roughScale : .none
    }

    /// The images of some tasks, with what is done with them.
    func settings(tasks: [String]) -> CalibrationSettings {
        CalibrationSettings(
            folders: Dictionary(tasks.map { ($0, places(of: $0)) }) { $1 },
            labelled: Dictionary(labelled.map { ($0.name, $0.value.text) }) { $1 },
            alignment: align ? CalibrationSettings.Alignment(rank: alignRank) : nil, threads: usedThreads)
    }

    /// How many images are computed at the same time.
    var usedThreads: Int { threads.count }

    /// Sets where the images of a recipe are now, as far as the options say.
    func move(_ recipe: inout Recipe) throws {
        for images in recipe.calibration?.images ?? [] where !places(of: images.task).isEmpty {
            try recipe.move(calibration: images.task, to: places(of: images.task))
        }
    }

    /// The folders of a task: its own, and those for all.
    private func places(of task: String) -> [String] {
        folders.compactMap { folder in
            guard let named = Self.named(folder) else { return folder }
            return named.name == task ? named.value.text : nil
        }
    }
}
