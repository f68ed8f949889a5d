import ArgumentParser
import Datasets
import Files
import Labelling

/// The inputs of `label`.
struct LabelInputOptions: ParsableArguments {
    @OptionGroup var all: InputOptions

    @Flag(help: "Every named file is a tar archive, whatever its name.")
    var tar = false

    /// Where everything comes from.
    var source: InputSource { all.source(archives: tar ? .all : .byName) }

    func validate() throws {
        guard all.filesFrom != nil || !all.isNullSeparated else { throw ValidationError("-0 needs --files-from.") }
    }
}

/// How a run is divided among machines.
struct ShardOptions: ParsableArguments {
    @Option(help: .init("K/N", "Label only part K of N; mergevit gather puts the parts together."))
    var shard: TextArgument?

    @Option(help: .init("QUANTITY", "Make shards equal by count of inputs, or by bytes of their files."))
    var balance = Shard.Balance.count

    @Flag(help: "Write FILE.manifest.json beside the rows; implied by --shard.")
    var manifest = false

    /// The part that is asked for.
    var part: Shard? { shard.flatMap { Shard($0.text, balance: balance) } }

    /// Whether a manifest is to be written.
    var writesManifest: Bool { manifest || shard != nil }

    func validate() throws {
        guard shard == nil || part != nil else {
            throw ValidationError(
                "--shard must be K/N with 1 <= K <= N <= \(Shard.maximumParts), not \(shard?.text ?? "").")
        }
        guard shard != nil || balance == .count else { throw ValidationError("--balance needs --shard.") }
    }
}

/// Where the rows of `label` go.
struct LabelOutputOptions: ParsableArguments {
    @OptionGroup var file: OutputFileOptions

    @Flag(help: "Discard the rows of an interrupted run instead of resuming it.")
    var restart = false

    @Option(
        help: .init(
            "OLD",
            """
            Take the rows of files with the path, size and modification time that they had when OLD was written by \
            the same model and options, and label only the others. OLD may be FILE.
            """))
    var reuse: PathArgument?

    @Option(
        help: .init("FILE", "Also write the vectors that the heads read, a matrix in .safetensors or .npy."))
    var features: PathArgument?

    @Option(help: .init("TYPE", "Type of the numbers of --features: f32 or f16."))
    var featuresType = FeatureOptions.Number.f32

    @Option(help: .init("WHEN", "Flush rows to the disk at least every second, at the end, or never."))
    var fsync = SyncPolicy.second

    @Option(help: .init("PAGE", "Also write a page with thumbnails by task and class, as mergevit gallery does."))
    var gallery: PathArgument?

    /// The file's path; nil for stdout.
    var path: BytePath? { file.output?.path }

    /// The file of features, if one is wanted.
    var featureOptions: FeatureOptions? { features.flatMap { FeatureOptions($0.path, number: featuresType) } }

    func validate() throws {
        guard file.output != nil || !restart else { throw ValidationError("--restart needs -o.") }
        guard file.output != nil || gallery == nil else { throw ValidationError("--gallery needs -o.") }
        if let output = path, let gallery {
            let folder = try BytePath.currentFolder()
            guard output.normalized(in: folder) != gallery.path.normalized(in: folder) else {
                throw ValidationError("-o and --gallery name the same file.")
            }
        }
        if let features {
            guard featureOptions != nil else {
                throw ValidationError("--features \(features.path): expected a name that ends in .safetensors or .npy.")
            }
            guard file.output != nil else { throw ValidationError("--features needs -o.") }
            guard reuse == nil else {
                throw ValidationError(
                    "--features needs a pass for every image, and --reuse saves passes: give one of them.")
            }
        }
    }
}

/// What the rows of `label` say.
struct RowFormatOptions: ParsableArguments {
    @Option(help: .init("FORMAT", "csv, tsv or jsonl (default: as FILE ends, else csv)."))
    var format: RowOptions.Format?

    @Option(help: .init("LAYOUT", "wide: one row per file; long: one row per file, task and rank."))
    var layout = RowOptions.Layout.wide

    @Option(help: .init("LIST", "Only these tasks, separated by commas."))
    var tasks: TextArgument?

    @Option(help: .init("N", "Number of labels per task with a softmax, best first, 1 to 1000."))
    var topK = 1

    @Option(help: .init("SCORES", "prob: softmax or sigmoid probabilities; logit: raw outputs; none: only labels."))
    var scores = RowOptions.Scores.prob

    @Flag(help: "Write the score of every class.")
    var allScores = false

    @Option(
        name: .customLong("threshold"),
        help: .init(
            "[TASK=]P",
            """
            Smallest probability of a label (0 to 1), for all tasks or for one; may be repeated. Below it a task with \
            a softmax has an empty label; a task with a sigmoid has all labels that reach it (default: 0.5).
            """))
    var thresholds: [ThresholdArgument] = []

    @Option(
        name: .customLong("min-fit"),
        help: .init(
            "[TASK=]P",
            """
            Smallest fit with which labels are written (0 to 1), for all tasks or for one; may be repeated. With 0.05 \
            95 % of the images to which a task applies keep their label. Needs mergevit fit.
            """))
    var minimumFits: [ThresholdArgument] = []

    @Flag(help: "Write the task that fits each image most. Needs mergevit fit.")
    var bestTask = false

    @Option(help: .init("TEXT", "Separator of a sigmoid task's labels in wide csv and tsv (default: |)."))
    var labelSeparator: TextArgument?

    @Flag(
        help: """
            Write a table for spreadsheets: with a byte order mark, and with an apostrophe before paths and labels \
            that they would take for formulas.
            """)
    var csvSafe = false

    @Flag(help: "Write absolute paths.")
    var absolute = false

    /// How the rows look.
    ///
    /// - Parameter path: where they go; nil for stdout.
    func rowOptions(_ path: BytePath?) throws -> RowOptions {
        var options = RowOptions()
        options.format = try chosenFormat(path)
        options.layout = layout
        options.scores = scores
        options.topK = topK
        options.allScores = allScores
        options.tasks = taskNames
        options.threshold = thresholds.first { $0.task == nil }?.value
        for threshold in thresholds { if let task = threshold.task { options.thresholds[task] = threshold.value } }
        options.minimumFit = minimumFits.first { $0.task == nil }?.value
        for minimum in minimumFits { if let task = minimum.task { options.minimumFits[task] = minimum.value } }
        options.writesBestTask = bestTask
        options.labelSeparator = labelSeparator?.text ?? MultiLabelImages.usualSeparator
        options.guardsFormulas = csvSafe
        options.currentFolder = absolute ? try BytePath.currentFolder() : nil
        return options
    }

    private var taskNames: [String]? {
        tasks?.text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    func validate() throws {
        try check("--top-k", topK, in: 1...1000)
        try ThresholdArgument.check(thresholds, "--threshold")
        try ThresholdArgument.check(minimumFits, "--min-fit")
        guard labelSeparator == nil || (format != .jsonl && layout == .wide) else {
            throw ValidationError("--label-separator applies to the wide layout of csv and tsv.")
        }
        guard !allScores || scores != .none else {
            throw ValidationError("--all-scores and --scores none contradict each other.")
        }
        guard taskNames.map({ !$0.contains("") }) ?? true else {
            throw ValidationError("--tasks has an empty name; names are separated by single commas.")
        }
    }

    /// Checks what the options mean for the output.
    func checkFormat(_ path: BytePath?) throws {
        guard try !csvSafe || chosenFormat(path) != .jsonl else {
            throw ValidationError("--csv-safe applies to csv and tsv.")
        }
    }

    /// The format that is asked for by name or by the ending of the output's name.
    private func chosenFormat(_ path: BytePath?) throws -> RowOptions.Format {
        guard let path, let ending = OutputEnding(path) else { return format ?? .csv }
        switch ending {
        case .rows(let named):
            guard let format, format != named else { return named }
            throw ValidationError("-o \(path) and --format \(format.rawValue) contradict each other.")
        case .other(let ending):
            guard let format else {
                throw ValidationError(
                    "-o \(path): \(ending) is not written; expected csv, tsv or jsonl, or --format with one of them.")
            }
            return format
        case .unknown: return format ?? .csv
        }
    }

    /// The ending of the output's name if it says nothing about the format.
    func unknownEnding(_ path: BytePath?) -> String? {
        guard format == nil, let path, case .unknown(let ending) = OutputEnding(path) else { return nil }
        return ending
    }
}

/// What the ending of an output's name says about its format.
private enum OutputEnding {
    case rows(RowOptions.Format)
    /// Something that label does not write.
    case other(String)
    case unknown(String)

    private static let others: Set<Substring> = [
        "json", "parquet", "feather", "arrow", "xlsx", "xls", "ods", "gz", "bz2", "xz", "zst", "zip", "tar", "tgz",
        "db", "sqlite", "sqlite3", "duckdb", "h5", "hdf5", "npy", "npz", "pkl", "pickle", "html", "htm", "xml",
        "yaml", "yml", "md", "png", "jpg", "jpeg",
    ]

    /// Nil for a name without an ending.
    init?(_ path: BytePath) {
        let name = path.description.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        let ending = name[name.index(after: dot)...]
        switch ending.lowercased() {
        case "": return nil
        case "csv": self = .rows(.csv)
        case "tsv", "tab": self = .rows(.tsv)
        case "jsonl", "ndjson": self = .rows(.jsonl)
        case let lower where Self.others.contains(lower[...]): self = .other(String(ending))
        default: self = .unknown(String(ending))
        }
    }
}

/// A threshold for all tasks, or for one as TASK=VALUE.
struct ThresholdArgument: CheckedArgument {
    let task: String?
    let value: Double

    init(argument: String) throws {
        let sign = argument.lastIndex(of: "=")
        guard sign != argument.startIndex else { throw ValidationError("expected P or TASK=P") }
        task = try sign.map { try TextArgument(argument: String(argument[..<$0])).text }
        value = try FractionArgument(
            argument: String(sign.map { argument[argument.index(after: $0)...] } ?? argument[...])
        )
        .value
    }

    static var completion: CompletionKind { .default }

    /// Checks that no threshold is given twice.
    static func check(_ thresholds: [ThresholdArgument], _ option: String) throws {
        var checked: Set<String?> = []
        for threshold in thresholds where !checked.insert(threshold.task).inserted {
            throw ValidationError("\(option)\(threshold.task.map { " \($0)=..." } ?? "") is given twice.")
        }
    }
}

extension RowOptions.Format: ExpressibleByArgument {}
extension RowOptions.Layout: ExpressibleByArgument {}
extension RowOptions.Scores: ExpressibleByArgument {}
extension Shard.Balance: ExpressibleByArgument {}
extension FeatureOptions.Number: ExpressibleByArgument {}
extension SyncPolicy: ExpressibleByArgument {}
