import Adapters
import ArgumentParser
import Compute
import Logging

// Options that several commands have: each is declared here, once.

/// `--quiet`.
struct QuietOption: ParsableArguments {
    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Print only errors.")
    var isQuiet = false

    /// Where notices and warnings go.
    var log: Logger { Warnings.logger(quiet: isQuiet) }

    /// Prints a line on stderr unless the command is quiet.
    func say(_ line: String) { if !isQuiet { StandardStream.error.write(line + "\n") } }
}

/// `--threads`.
struct ThreadOption: ParsableArguments {
    @Option(help: .init("N", "Number of threads, 1 to 256 (default: one per processor available to the process)."))
    var threads: Int?

    /// The threads to use.
    var count: Int { threads ?? min(AvailableProcessors.count, 256) }

    func validate() throws { try check("--threads", threads, in: 1...256) }
}

/// `--base`, where it is required.
struct BaseOption: ParsableArguments {
    @Option(help: .init("DIR", "Hugging Face folder of the base model."))
    var base: TextArgument
}

/// `--bundle`, where it is required.
struct BundleOption: ParsableArguments {
    @Option(help: .init("DIR", "Folder of the merged model."))
    var bundle: TextArgument
}

/// `-o` with the folder that a command writes.
struct OutputFolderOption: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: .init("DIR", "Folder to write."))
    var output: TextArgument

    /// The folder's path.
    var path: String { output.text }
}

/// `--force` of commands that write a folder.
struct ReplaceFolderOption: ParsableArguments {
    @Flag(help: "Replace DIR if it exists and mergevit wrote it.")
    var force = false
}

/// `--force` of commands that write a file of rows.
struct ReplaceFileOption: ParsableArguments {
    @Flag(help: "Replace FILE even if mergevit did not write it, or if it was changed since.")
    var force = false
}

/// `-o` with the file that a command writes instead of stdout.
struct OutputFileOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .customLong("output")], help: .init("FILE", "Write to FILE instead of stdout."))
    var output: PathArgument?

    @OptionGroup var replacing: ReplaceFileOption

    func validate() throws {
        guard output != nil || !replacing.force else { throw ValidationError("--force needs -o.") }
    }
}

/// `--bootstrap`.
struct BootstrapOption: ParsableArguments {
    @Option(help: .init("N", "Number of bootstrap samples for the intervals of means; 0 for no such intervals."))
    var bootstrap = 1000

    func validate() throws { try check("--bootstrap", bootstrap, in: 0...1_000_000) }
}

/// `--image-memory`.
struct ImageMemoryOption: ParsableArguments {
    @Option(help: .init("MIB", "Most memory for decoded images, in MiB."))
    var imageMemory = 4096

    /// In bytes.
    var bytes: Int { imageMemory << 20 }

    func validate() throws { try check("--image-memory", imageMemory, in: 1...1 << 24) }
}

/// `--feature-cache`.
struct FeatureCacheOptions: ParsableArguments {
    @Option(
        help: .init(
            "DIR",
            """
            Keep the features of the base and of single adapters in DIR: a later command that sees the same images by \
            the same adapters does not compute them again.
            """))
    var featureCache: TextArgument?

    @Option(help: .init("MIB", "Most size of that folder, in MiB (default: 1024)."))
    var featureCacheLimit: Int?

    /// Whether there is one.
    var isGiven: Bool { featureCache != nil }

    /// The cache; nil for none.
    var settings: FeatureCache.Settings? {
        featureCache.map { FeatureCache.Settings(folder: $0.text, limit: (featureCacheLimit ?? 1024) << 20) }
    }

    func validate() throws {
        guard featureCache != nil || featureCacheLimit == nil else {
            throw ValidationError("--feature-cache-limit needs --feature-cache.")
        }
        try check("--feature-cache-limit", featureCacheLimit, in: 1...1 << 24)
    }
}

/// `--allow-other-base`.
struct OtherBaseOption: ParsableArguments {
    @Flag(
        name: .customLong("allow-other-base"),
        help: "Accept adapters that, by their training.json, were trained over other base weights.")
    var isAllowed = false
}

/// Options of a training run that can be resumed.
struct CheckpointOptions: ParsableArguments {
    @Flag(help: "Resume an interrupted run, if there is one.")
    var resume = false

    @Option(help: .init("SECONDS", "Time between checkpoints."))
    var checkpointSeconds = 60.0

    @Option(help: .init("N", "Number of steps between checkpoints."))
    var checkpointSteps: Int?

    func validate() throws {
        guard checkpointSeconds >= 0 else {
            throw ValidationError("--checkpoint-seconds must be at least 0, not \(checkpointSeconds).")
        }
        if let checkpointSteps, checkpointSteps < 1 {
            throw ValidationError("--checkpoint-steps must be at least 1, not \(checkpointSteps).")
        }
    }
}

/// What separates the labels of a cell.
struct SeparatorArgument: CheckedArgument {
    let text: String

    init(argument: String) throws {
        text = try TextArgument(argument: argument).text
        guard !text.isEmpty, !text.contains("\""), !text.contains(where: \.isNewline) else {
            throw ValidationError("it must not be empty or contain quotes or line breaks")
        }
    }

    static var completion: CompletionKind { .default }
}
