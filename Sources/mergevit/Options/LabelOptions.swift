import ArgumentParser
import Compute
import Datasets
import Files
import Images
import Labelling
import VisionTransformers

/// The options about what goes in.
struct InputOptions: ParsableArguments {
    @Argument(help: "Images, folders with all below them, and tar archives (names in .tar) with all in them.")
    var inputs: [String] = []

    @Option(name: .customLong("files-from"), help: "Read further inputs from a file, one a line; - is stdin.")
    var filesFrom: String?

    @Flag(help: "Having nothing to do is no error, as when a folder is empty.")
    var allowEmpty = false

    @Flag(help: "Entries of the list are no folders, as mergevit list writes it; they are not looked at beforehand.")
    var asListed = false

    @OptionGroup var endings: EndingsOption

    /// Where everything comes from.
    func source(separator: FileListSource.Separator, archives: InputReading.Archives) -> InputSource {
        let list = filesFrom.map { name in
            FileListSource(name == "-" ? .standardInput : .file(RawArguments.path(name)), separator: separator)
        }
        let reading = InputReading(
            opensListedFolders: !asListed, archives: archives, endings: endings.names)
        return InputSource(paths: inputs.map(RawArguments.path), list: list, reading: reading)
    }

    /// Checks that there is something to do, as far as that can be told before it is done.
    func check(_ source: InputSource) throws {
        try source.checkPaths()
        if !allowEmpty, try source.isEmpty() { throw source.emptyError }
    }

    /// Checks what the options mean together.
    func check() throws {
        guard !inputs.isEmpty || filesFrom != nil else {
            throw ValidationError("No inputs: give files or folders, or --files-from.")
        }
        guard filesFrom != nil || !asListed else { throw ValidationError("--as-listed needs --files-from.") }
    }
}

/// The option that leaves files out by their endings.
struct EndingsOption: ParsableArguments {
    @Option(
        help: "Of folders and archives take only files with these endings, separated by commas, such as jpg,jpeg,png.")
    var endings: String?

    /// The endings in lower case; nil for all files.
    var names: Set<String>? { list.map { Set($0) } }

    private var list: [String]? {
        endings?.split(separator: ",", omittingEmptySubsequences: false).map { $0.lowercased() }
    }

    func validate() throws {
        guard list?.contains(where: { $0.isEmpty || $0.contains(".") || $0.contains("/") }) != true else {
            throw ValidationError("--endings must be endings without dots, separated by single commas.")
        }
    }
}

/// The options about how folders and tables of labelled images are read.
struct LabelledReadingOptions: ParsableArguments {
    @OptionGroup var endings: EndingsOption

    @Option(
        help: "The folder that paths in tables start at (default: the table's, or the current one if no file is there)."
    )
    var root: String?

    @Option(help: "The column of tables with the paths (default: path, or another usual name).")
    var pathColumn: String?

    @Option(help: "The column of tables with the labels (default: label, the task's name, or another usual name).")
    var labelColumn: String?

    /// How the images of a task are read.
    ///
    /// - Parameter needsFiles: whether the files that a table names have to be there.
    func reading(_ task: String, needsFiles: Bool = true) -> LabelledReading {
        var reading = LabelledReading(task: task)
        (reading.pathColumn, reading.labelColumn) = (pathColumn, labelColumn)
        reading.root = root.map(RawArguments.path)
        reading.endings = endings.names
        reading.needsFiles = needsFiles
        return reading
    }
}

/// The options of `label` about what goes in.
struct LabelInputOptions: ParsableArguments {
    @OptionGroup var all: InputOptions

    @Flag(name: [.customShort("0"), .customLong("null")], help: "The list of --files-from is separated by NULs.")
    var isNullSeparated = false

    @Flag(help: "All named files are tar archives, whatever they are called.")
    var tar = false

    /// Where everything comes from.
    var source: InputSource {
        all.source(separator: isNullSeparated ? .nul : .newline, archives: tar ? .all : .byName)
    }

    func validate() throws {
        try all.check()
        guard all.filesFrom != nil || !isNullSeparated else { throw ValidationError("-0 needs --files-from.") }
    }
}

/// The options of `label` about the model.
struct LabelModelOptions: ParsableArguments {
    @Option(name: .customLong("bundle"), help: "The folder of the merged model.")
    var bundle: String

    @OptionGroup var engine: EngineOptions

    /// The same for the model.
    var bundleOptions: BundleOptions { engine.bundleOptions(bundle) }

    func validate() throws { try RawArguments.checkText([bundle]) }

    /// The threads that are used unless specified: one for each processor that this process may use.
    static var availableCores: Int { min(AvailableProcessors.count, 256) }
}

/// The options about how a model runs over images. None but the precision and those about decoding changes what comes out.
struct EngineOptions: ParsableArguments {
    @Option(help: "How many images the model sees at once (1...256; default: 8 for each thread, 256 at most).")
    var batchSize: Int?

    @Option(help: "How many threads to use (1...256; default: the processors available to the process).")
    var threads: Int?

    @Option(help: "Give a file up when no byte of it has come for so many seconds (1...86400).")
    var timeout = 60

    @Option(
        help: """
            What is multiplied: f32 gives the numbers of transformers; bf16 and int8 are up to two and four times as fast, need \
            a processor with instructions for them, and change few labels; auto is the fastest that there is, int8 only for a \
            model of which quantize has found that it keeps its labels.
            """)
    var precision = PrecisionChoice.f32

    @Option(
        help: """
            Whether weights that were brought into the processor's layout are kept in the model's folder, for the next start: auto \
            for models of 16 MiB and more on a disk of this machine, always, never.
            """)
    var cache = PackedCache.Use.auto

    @OptionGroup var decoding: DecodingArguments
    @OptionGroup var preprocessor: PreprocessorOptions

    /// What opening a bundle has to be told.
    func bundleOptions(_ bundle: String) -> BundleOptions {
        BundleOptions(
            bundle: bundle, preprocessor: preprocessor.choice, decoding: decoding.options, threads: threadCount,
            precision: precision, cache: cache)
    }

    /// The threads asked for, or as many as there are cores to run on.
    var threadCount: Int { threads ?? LabelModelOptions.availableCores }

    /// The same for a run.
    var labellingOptions: LabellingOptions {
        LabellingOptions(
            batchSize: batchSize ?? min(8 * threadCount, 256), threads: threadCount, timeout: Double(timeout))
    }

    func validate() throws {
        if let batchSize, !(1...256).contains(batchSize) {
            throw ValidationError("--batch-size must be from 1 to 256, not \(batchSize).")
        }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads must be from 1 to 256, not \(threads).")
        }
        guard (1...86400).contains(timeout) else {
            throw ValidationError("--timeout must be from 1 to 86400, not \(timeout).")
        }
    }
}

/// The options about decoding images.
struct DecodingArguments: ParsableArguments {
    @Option(help: "What transparent images are laid on: white or black; ignore takes the colours as they are.")
    var alpha = AlphaPolicy.white

    @Option(help: "Refuse images of more pixels.")
    var maxPixels = 200_000_000

    @Flag(
        help: """
            Decode large JPEGs at 1/2, 1/4 or 1/8 of their size before they are resized: faster, and no longer the very \
            numbers of the reference.
            """)
    var fastDecode = false

    /// The same for the decoders.
    var options: DecodingOptions {
        DecodingOptions(alpha: alpha, maximumPixels: maxPixels, isFast: fastDecode)
    }

    func validate() throws {
        guard maxPixels >= 1 else { throw ValidationError("--max-pixels must be at least 1, not \(maxPixels).") }
    }
}

/// The options of `label` about what comes out.
struct LabelOutputOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: "Write to this file instead of stdout.")
    var output: String?

    @Flag(help: "Replace FILE even if it was changed after mergevit wrote it, or if something else wrote it.")
    var force = false

    @Option(help: "csv, tsv or jsonl (default: what FILE ends in, else csv).")
    var format: RowOptions.Format?

    @Option(help: "wide: a row for each file; long: a row for each file, task and rank.")
    var layout = RowOptions.Layout.wide

    @Option(help: "How many answers to give for each task with a softmax, the best first (1...1000).")
    var topK = 1

    @Option(help: "prob: probabilities by softmax or sigmoid; logit: the model's own values; none: labels alone.")
    var scores = RowOptions.Scores.prob

    @Flag(help: "Write the score of every class.")
    var allScores = false

    @Option(help: "Only these tasks, separated by commas.")
    var tasks: String?

    @Option(
        name: .customLong("threshold"),
        help: """
            The least probability of a label (0...1), for all tasks or as TASK=0.3; may be repeated. Below it the label of a \
            task with a softmax is left empty; the labels of a task with a sigmoid are those that reach it (default 0.5).
            """)
    var thresholds: [ThresholdArgument] = []

    @Option(help: "What separates the labels of a task with a sigmoid in wide csv and tsv (default: |).")
    var labelSeparator: String?

    @Flag(help: "Guard paths and labels that a spreadsheet would take for formulas, by an apostrophe before them.")
    var csvSafe = false

    @Flag(help: "Write absolute paths.")
    var absolute = false

    @Flag(help: "Begin anew where an earlier run of the same command was stopped, rather than go on.")
    var restart = false

    @Option(help: "When rows are made to reach the disk: second (at least every second), end or never.")
    var fsync = SyncPolicy.second

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    /// Whether there is a status line: not where rows go to a terminal.
    var showsProgress: Bool { !isQuiet && (output != nil || !StandardStream.output.isTerminal) }

    /// How the rows look.
    func rowOptions() throws -> RowOptions {
        var options = RowOptions()
        options.format = try chosenFormat
        options.layout = layout
        options.scores = scores
        options.topK = topK
        options.allScores = allScores
        options.tasks = taskNames
        options.threshold = thresholds.first { $0.task == nil }?.value
        for threshold in thresholds { if let task = threshold.task { options.thresholds[task] = threshold.value } }
        options.labelSeparator = labelSeparator ?? MultiLabelImages.usualSeparator
        options.guardsFormulas = csvSafe
        options.currentFolder = absolute ? try BytePath.currentFolder() : nil
        return options
    }

    private var taskNames: [String]? {
        tasks?.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    func validate() throws {
        guard (1...1000).contains(topK) else { throw ValidationError("--top-k must be from 1 to 1000, not \(topK).") }
        try ThresholdArgument.check(thresholds)
        if let labelSeparator {
            guard format != .jsonl, layout == .wide else {
                throw ValidationError("--label-separator is about the wide layout of csv and tsv.")
            }
            try RawArguments.checkText([labelSeparator])
        }
        guard !allScores || scores != .none else {
            throw ValidationError("--all-scores and --scores none contradict each other.")
        }
        guard taskNames.map({ !$0.contains("") }) ?? true else {
            throw ValidationError("--tasks has an empty name; names are separated by single commas.")
        }
        guard try !csvSafe || chosenFormat != .jsonl else { throw ValidationError("--csv-safe is about csv and tsv.") }
        guard output != nil || !restart else { throw ValidationError("--restart needs -o.") }
        guard output != nil || !force else { throw ValidationError("--force needs -o.") }
    }

    /// The format that is asked for by name or by the ending of the output's name.
    private var chosenFormat: RowOptions.Format {
        get throws {
            guard let output, let ending = OutputEnding(output) else { return format ?? .csv }
            switch ending {
            case .rows(let own):
                guard let format, format != own else { return own }
                throw ValidationError("-o \(output) and --format \(format.rawValue) contradict each other.")
            case .other(let ending):
                guard let format else {
                    throw ValidationError(
                        "-o \(output): \(ending) is not written; expected csv, tsv or jsonl, or --format with one of them."
                    )
                }
                return format
            case .unknown: return format ?? .csv
            }
        }
    }

    /// The ending of the output's name if it says nothing about the format.
    var unknownEnding: String? {
        guard format == nil, let output, case .unknown(let ending) = OutputEnding(output) else { return nil }
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
        "db", "sqlite",
        "sqlite3", "duckdb", "h5", "hdf5", "npy", "npz", "pkl", "pickle", "html", "htm", "xml", "yaml", "yml", "md",
        "png", "jpg",
        "jpeg",
    ]

    /// Nil for a name without an ending.
    init?(_ path: String) {
        let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
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
struct ThresholdArgument: ExpressibleByArgument {
    let task: String?
    let value: Double

    init?(argument: String) {
        let sign = argument.lastIndex(of: "=")
        guard let value = Double(sign.map { argument[argument.index(after: $0)...] } ?? argument[...]),
            sign != argument.startIndex
        else { return nil }
        task = sign.map { String(argument[..<$0]) }
        self.value = value
    }
}

extension AlphaPolicy: ExpressibleByArgument {}
extension RowOptions.Format: ExpressibleByArgument {}
extension RowOptions.Layout: ExpressibleByArgument {}
extension RowOptions.Scores: ExpressibleByArgument {}
extension SyncPolicy: ExpressibleByArgument {}
extension PackedCache.Use: ExpressibleByArgument {}
