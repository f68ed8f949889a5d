import Adapters
import ArgumentParser
import Datasets
import Workflows

/// The options about unlabelled images of tasks, on which models are compared with single adapters.
struct CalibrationImageOptions: ParsableArguments {
    @Option(
        name: .customLong("calibration"),
        help: .init(
            "[TASK=]DIR",
            """
            Unlabelled images of one task, or for all tasks; may be repeated. Without any, drawn or drawn:N draws \
            \(DrawnPictures.defaultCount) or N pictures from --seed (for a folder called drawn write ./drawn).
            """))
    var folderArguments: [TextArgument] = []

    @OptionGroup var holding: GroupByOption

    @Option(
        name: .customLong("holdout"),
        help: .init(
            "[TASK=]DIR",
            """
            Images that no adapter was trained on, of one task or for all: agreement with the single adapters is \
            reported on them, and they are used for nothing else; may be repeated.
            """))
    var holdoutArguments: [TextArgument] = []

    @Flag(help: "Align each head with the merged backbone, or its stream, on the calibration images.")
    var align = false

    @Option(help: .init("N", "Rank of the alignment (default: full)."))
    var alignRank: Int?

    @Flag(
        name: .customLong("no-fit"),
        help: "Do not measure on the calibration images how well images fit each task (see fit).")
    var withoutFits = false

    @Option(
        help: .init(
            "PRECISION",
            """
            Number format in which models compute the images: f32, or bf16, which is about twice as fast where the \
            processor has instructions for it. auto is bf16 if single adapters keep 99 % of their labels in it.
            """))
    var precision: PassPrecision?

    @OptionGroup var cache: FeatureCacheOptions

    /// Whether the images make fits of tasks. Drawn ones make none, nor do images that are those of several tasks.
    func makesFits(tasks: Int) throws -> Bool {
        guard !withoutFits else { return false }
        return try folders.contains { folder in
            let named = Self.named(folder)
            return try (named != nil || tasks == 1) && Self.drawnCount(named?.value.text ?? folder) == nil
        }
    }

    /// The folders of images.
    var folders: [String] { folderArguments.map(\.text) }

    /// Whether any images are given that are for nothing but a report.
    var isHoldoutGiven: Bool { !holdoutArguments.isEmpty }

    func validate() throws {
        for folder in folders { _ = try Self.drawnCount(Self.named(folder)?.value.text ?? folder) }
        guard align || alignRank == nil else { throw ValidationError("--align-rank needs --align.") }
        if let alignRank, alignRank < 1 { throw ValidationError("--align-rank must be at least 1, not \(alignRank).") }
    }

    /// Checks that images are given for tasks that there are.
    ///
    /// - Parameter labelled: the tasks that `--labelled` names.
    /// - Throws: `ValidationError` naming the tasks.
    func check(tasks: [String], labelled: [String] = []) throws {
        let named =
            folders.compactMap(Self.named).map { ("--calibration", $0.name) }
            + holdoutArguments.compactMap { Self.named($0.text) }.map { ("--holdout", $0.name) }
        for (option, name) in named + labelled.map({ ("--labelled", $0) }) where !tasks.contains(name) {
            let known = tasks.isEmpty ? "there are none" : "there are \(tasks.joined(separator: ", "))"
            let hint = option != "--labelled" ? " For a folder with = in its name write ./\(name)=..." : ""
            throw ValidationError("\(option) \(name)=...: there is no task of that name; \(known).\(hint)")
        }
    }

    /// The images of some tasks, and how heads are aligned on them.
    ///
    /// - Parameter seed: what pictures are drawn from.
    func settings(
        tasks: [String], labelled: [String: String] = [:], seed: UInt64, threads: Int
    ) throws -> CalibrationSettings {
        var settings = CalibrationSettings(
            sources: Dictionary(try tasks.map { ($0, try source(of: $0, seed: seed)) }) { $1 }, labelled: labelled,
            alignment: align ? CalibrationSettings.Alignment(rank: alignRank) : nil, pattern: holding.groupBy?.pattern,
            threads: threads, precision: precision ?? .f32)
        settings.makesFits = try makesFits(tasks: tasks.count)
        return settings
    }

    /// The images that are for nothing but a report, of some tasks; nil if none are given.
    func holdout(tasks: [String], threads: Int) -> HoldoutSettings? {
        guard isHoldoutGiven else { return nil }
        let arguments = holdoutArguments.map(\.text)
        return HoldoutSettings(
            folders: Dictionary(tasks.map { ($0, places(of: $0, in: arguments).joined) }) { $1 },
            pattern: holding.groupBy?.pattern, threads: threads)
    }

    /// A folder for one task; nil for one for all, whose path may hold a = behind a slash.
    static func named(_ folder: String) -> NamedValue? {
        (try? NamedValue(argument: folder)).flatMap { $0.name.contains("/") ? nil : $0 }
    }

    /// Sets where the images of a recipe are now, as far as the options say. Folders for all tasks are not for those
    /// whose images the recipe draws.
    func move(_ recipe: inout Recipe) throws {
        for images in recipe.images {
            let places = places(of: images.task)
            guard try places.joined.allSatisfy({ try Self.drawnCount($0) == nil }) else {
                throw ValidationError("--calibration drawn: the --recipe says what is drawn.")
            }
            let folders = images.areDrawn ? places.own : places.joined
            if !folders.isEmpty { try recipe.move(calibration: images.task, to: folders) }
        }
    }

    /// Where the images of a task are from: its own places and those for all. Drawn pictures for all are only for tasks
    /// without images of their own.
    private func source(of task: String, seed: UInt64) throws -> CalibrationUse.Source {
        let places = places(of: task)
        let isDrawn = { try Self.drawnCount($0) != nil }
        let shared = Set(places.own.isEmpty ? [] : try places.shared.filter(isDrawn))
        let all = places.joined.filter { !shared.contains($0) }
        let drawn = try all.compactMap(Self.drawnCount)
        guard let count = drawn.first else { return .folders(all) }
        guard all.count == 1 else {
            throw ValidationError(
                "--calibration drawn: the task \"\(task)\" has other images, too; pictures are drawn for tasks without."
            )
        }
        return .drawn(kind: DrawnPictures.kind, count: count, seed: seed)
    }

    /// How many pictures a place asks to be drawn; nil if it is a folder.
    private static func drawnCount(_ place: String) throws -> Int? {
        let parts = place.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0] == "drawn" else { return nil }
        guard parts.count == 2 else { return DrawnPictures.defaultCount }
        guard let count = Int(parts[1]), drawnCounts.contains(count) else {
            throw ValidationError(
                """
                --calibration \(place): expected drawn or drawn:N with N from \(drawnCounts.lowerBound) to \
                \(drawnCounts.upperBound); for a folder of that name write ./\(place)
                """)
        }
        return count
    }

    /// How many pictures can be drawn.
    private static let drawnCounts = 10...100_000

    /// The places of a task's images: those given for it, and those for all.
    private func places(of task: String, in arguments: [String]? = nil) -> Places {
        let arguments = arguments ?? folders
        return Places(
            own: arguments.compactMap(Self.named).filter { $0.name == task }.map(\.value.text),
            shared: arguments.filter { Self.named($0) == nil },
            joined: arguments.compactMap { argument in
                guard let named = Self.named(argument) else { return argument }
                return named.name == task ? named.value.text : nil
            })
    }

    private struct Places {
        let own: [String]
        let shared: [String]
        /// Both, in the order in which they were given.
        let joined: [String]
    }
}

extension PassPrecision: ExpressibleByArgument {}

/// A pattern that tells which images belong together.
struct GroupPattern: CheckedArgument {
    let pattern: NamePattern

    init(argument: String) throws {
        do { pattern = try NamePattern(TextArgument(argument: argument).text) } catch let error as NamePatternError {
            throw ValidationError("\(error)")
        }
    }

    static var completion: CompletionKind { .default }
}

/// `--group-by`: which images are held out together.
struct GroupByOption: ParsableArguments {
    @Option(
        help: .init(
            "PATTERN",
            """
            Hold out images together whose path below DIR has the same text in the pattern's one capture group, such \
            as frames of one object (default: near-duplicates by features).
            """))
    var groupBy: GroupPattern?
}
