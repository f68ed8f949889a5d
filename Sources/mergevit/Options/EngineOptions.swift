import ArgumentParser
import Images
import Labelling
import VisionTransformers
import Workflows

/// How a model runs over images. Only the precision, the preprocessing and the decoding change what comes out.
struct EngineOptions: ParsableArguments {
    @Option(
        help: .init(
            "PRECISION",
            """
            f32 gives the numbers of transformers. bf16 and int8 are up to two and four times as fast, need processors \
            with instructions for them, and change few labels. auto is the fastest that this processor supports; int8 \
            only for models that quantize has found to keep their labels.
            """))
    var precision = PrecisionOption.f32

    @Option(
        help: .init(
            "SCHEDULE",
            """
            Merge alike patch tokens, N in each block or N,N,... in each of them: faster, and few labels change. auto \
            is what quantize --keep found (default: auto if --precision auto takes int8, else none).
            """))
    var mergeTokens: TokenMergingArgument?

    @Option(
        help: .init("N", "Number of images per batch, 1 to 1024 (default: 8 per thread up to 256, then at least 4)."))
    var batchSize: Int?

    @OptionGroup var threads: ThreadOption

    @Option(help: .init("SECONDS", "Give up on a file that yields no data for this long, 1 to 86400."))
    var timeout = 60

    @Option(
        help: .init(
            "WHEN",
            """
            Keep weights in the processor's layout in the model's folder, for a faster next start: auto is for models \
            of 16 MiB and more on a local disk.
            """))
    var cache = PackedCache.Use.auto

    @OptionGroup var preprocessor: PreprocessorOptions
    @OptionGroup var decoding: DecodingArguments

    /// How a model is made ready.
    var model: ModelSettings {
        ModelSettings(
            preprocessor: preprocessor.choice, decoding: decoding.options, threads: threads.count,
            precision: precision, tokenMerging: mergeTokens?.option, cache: cache)
    }

    /// How a run goes over the images.
    var labellingOptions: LabellingOptions {
        LabellingOptions(
            batchSize: batchSize ?? Self.batchSize(threads: threads.count), threads: threads.count,
            timeout: Double(timeout))
    }

    /// Enough images for each thread that it is seldom idle at the end of a batch, and that streams are computed for
    /// several images at once, but not so many that waiting images need much memory: 0.6 MB each at 224 x 224.
    static func batchSize(threads: Int) -> Int { max(min(8 * threads, 256), 4 * threads) }

    func validate() throws {
        try check("--batch-size", batchSize, in: 1...1024)
        try check("--timeout", timeout, in: 1...86400)
    }
}

/// How many patch tokens are merged: auto, none, a number for all blocks, or one for each.
struct TokenMergingArgument: CheckedArgument {
    let option: TokenMergingOption

    init(argument: String) throws {
        switch argument {
        case "auto": option = .found
        case "none": option = .none
        default:
            let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
            let counts = parts.compactMap { Int($0) }
            guard counts.count == parts.count, counts.allSatisfy({ (0...100_000).contains($0) }) else {
                throw ValidationError("expected auto, none, a whole number, or one for each block as in 0,8,8,8")
            }
            option = counts.count == 1 ? .constant(counts[0]) : .counts(counts)
        }
    }

    static var completion: CompletionKind { .list(["auto", "none"]) }
}

/// How images become the model's input.
struct PreprocessorOptions: ParsableArguments {
    @Option(
        help: .init(
            "FILE",
            "Preprocessing settings: a file such as preprocessor_config.json, or vit, deit or dinov2 for theirs."))
    var preprocessor: TextArgument?

    @Option(
        help: .init(
            "LIBRARY",
            """
            Resize as this library does; transformers 5 uses torchvision where it is installed (default: what the \
            model says, else pillow).
            """))
    var resize: ResizeBackend?

    /// Where the settings come from.
    var choice: PreprocessorChoice {
        let source = preprocessor.map { argument in
            PreprocessorChoice.Preset(rawValue: argument.text).map(PreprocessorChoice.Source.preset)
                ?? .file(argument.text)
        }
        return PreprocessorChoice(source: source ?? .folder, resize: resize)
    }
}

/// How image files are decoded.
struct DecodingArguments: ParsableArguments {
    @Option(
        help: .init("BACKGROUND", "Lay transparent images on white or black; ignore takes their colours as they are."))
    var alpha = AlphaPolicy.white

    @Option(help: .init("N", "Reject images of more pixels."))
    var maxPixels = 200_000_000

    @Flag(
        help: """
            Decode large JPEGs and WebPs at 1/2, 1/4 or 1/8 of their size, and take a smaller copy that a TIFF holds: \
            faster, but the numbers are no longer exactly the reference's.
            """)
    var fastDecode = false

    /// What decoders are told.
    var options: DecodingOptions {
        DecodingOptions(alpha: alpha, maximumPixels: maxPixels, isFast: fastDecode)
    }

    func validate() throws {
        guard maxPixels >= 1 else { throw ValidationError("--max-pixels must be at least 1, not \(maxPixels).") }
    }
}

extension AlphaPolicy: ExpressibleByArgument {}
extension PackedCache.Use: ExpressibleByArgument {}
extension PrecisionOption: ExpressibleByArgument {}
extension ResizeBackend: ExpressibleByArgument {}
