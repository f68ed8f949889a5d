import Adapters
import ArgumentParser
import Files
import Images
import Labelling
import Logging
import Tensors
import Training
import VisionTransformers

/// The options about images that a merge is compared with its single adapters on.
struct CalibrationOptions: ParsableArguments {
    @Option(
        name: .customLong("calibration"),
        help: "Unlabelled images, as NAME=DIR for one task or DIR for all; may be repeated.")
    var folders: [String] = []

    @Option(
        name: .customLong("labelled"),
        help: "Labelled images of a task to tune by, as NAME=DIR of class folders or NAME=FILE.csv; may be repeated.")
    var labelled: [NamedValue] = []

    @Flag(help: "Align each head with the merged backbone on the calibration images.")
    var align = false

    @Option(help: "The rank of the alignment (default: full).")
    var alignRank: Int?

    @Flag(help: "Choose the scale by the calibration images: by labels where they are known, else by agreement.")
    var tune = false

    @Flag(help: "As --tune, and try values of the method's other parameters that --set does not fix.")
    var tuneAll = false

    @Option(
        help:
            "Find the fewest groups of tasks that keep all but this percentage of each single adapter's labels; aligns."
    )
    var maxDrop: Double?

    @Option(help: "How many threads compute images (1...256; default: the processors available to the process).")
    var threads: Int?

    /// The scales that `--tune` chooses from.
    static let scales = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.25, 1.5, 2, 2.5, 3]
    /// How many images of a task, fitted and held out, `--tune` looks at.
    static let tuningImages = 400

    func validate() throws {
        try RawArguments.checkText(folders + labelled.flatMap { [$0.name, $0.value] })
        try NamedValue.check(labelled, option: "--labelled")
        guard !isUsed || isGiven else {
            throw ValidationError("--align, --tune, --tune-all and --max-drop need --calibration.")
        }
        guard labelled.isEmpty || isTuned else { throw ValidationError("--labelled needs --tune.") }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads must be from 1 to 256, not \(threads).")
        }
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
        NamedValue(argument: folder).flatMap { $0.name.contains("/") ? nil : $0 }
    }

    /// Whether there is anything to do with calibration images.
    var isUsed: Bool { align || isTuned || maxDrop != nil }

    /// Whether the scale is to be chosen.
    var isTuned: Bool { tune || tuneAll }

    /// Whether any images are given.
    var isGiven: Bool { !folders.isEmpty || !labelled.isEmpty }

    /// The images of the adapters' tasks with what is to be done with them.
    func calibrator(
        base: Checkpoint, adapters: [WeightedAdapter], merge: MethodOptions.Choice, aligns: Bool, log: Logger
    ) throws -> (Calibrator, CalibrationRecord) {
        let reader = try reader(base, [merge.rule], log)
        let images = try adapters.enumerated().map { index, item in
            let task = item.adapter.task
            return try LongWork.part("reading tasks", index, of: adapters.count) {
                if let folder = labelled.value(of: task) {
                    try item.adapter.head.activation.requireSoftmax(task: task, for: "--labelled")
                    return try reader.images(task, folders: [folder], classes: item.adapter.head.classes)
                }
                return try reader.images(task, folders: places(of: task))
            }
        }
        let record = CalibrationRecord(
            images: images.map(\.record), align: align || maxDrop != nil || aligns, alignRank: alignRank,
            tune: isTuned || merge.choosesScale ? (labelled.isEmpty ? "agreement" : "labels") : nil, maxDrop: maxDrop)
        if record.align { Self.warnOfFew(images.map(\.images), log) }
        return (try reader.calibrator(adapters, images.map(\.images)), record)
    }

    /// Warns of tasks with so few held-out images that they hardly tell whether alignment helps.
    private static func warnOfFew(_ images: [CalibrationImages], _ log: Logger) {
        let few = images.map { (task: $0.task, count: $0.indices(heldOut: true).count) }.filter { $0.count < enough }
        guard !few.isEmpty else { return }
        let counts = few.map { "\($0.task) \($0.count)" }.joined(separator: ", ")
        log.warning(
            """
            fewer than \(enough) held-out images, one in \(CalibrationImages.holdOutEvery) of a task's, tell little about \
            whether its aligned head is better: \(counts)
            """)
    }

    /// Held-out images of a task that are enough to tell whether alignment helps.
    private static let enough = 50

    /// The images that a recipe tells of, from where they were or `--calibration` says that they are.
    func calibrator(
        again record: inout RecordedMerge, base: Checkpoint, adapters: [WeightedAdapter], log: Logger
    ) throws -> (Calibrator, CalibrationRecord)? {
        guard let recorded = record.calibration else { return nil }
        if isGiven {
            for item in recorded.images where !places(of: item.task).isEmpty {
                try record.move(calibration: item.task, to: places(of: item.task))
            }
        }
        guard let found = record.calibration else { return nil }
        let reader = try reader(base, record.groups.map(\.rule), log)
        let images = try found.images.enumerated().map { index, item in
            let images = try LongWork.part("reading tasks", index, of: found.images.count) {
                try reader.images(item.task, folders: item.folders, isRecorded: true)
            }
            guard images.record.sha256 == item.sha256 else {
                throw ModelError(
                    item.folders.joined(separator: ", "),
                    "not the calibration images of \"\(item.task)\" that were used: expected \(item.count) with SHA-256 "
                        + "\(item.sha256), found \(images.record.count) with \(images.record.sha256)")
            }
            return images
        }
        return (try reader.calibrator(adapters, images.map(\.images)), found)
    }

    /// A reader of images as the merges want them: with the views of the first that trains.
    private func reader(_ base: Checkpoint, _ rules: [MergeRule], _ log: Logger) throws -> CalibrationReader {
        let settings = rules.first { $0.method.isTrained }?.settings
        let views = settings.map { (augmentation: Augmentation($0), seed: $0.seed) }
        return try CalibrationReader(base, threads: threads ?? LabelModelOptions.availableCores, views: views, log)
    }

    /// The folders of a task: its own, and those for all.
    private func places(of task: String) -> [String] {
        folders.compactMap { folder in
            guard let named = Self.named(folder) else { return folder }
            return named.name == task ? named.value : nil
        }
    }
}
