import Adapters
import ArgumentParser
import Images
import Labelling
import Logging
import VisionTransformers

/// `mergevit quantize`.
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Round a merged model to eight bits, so that it keeps its labels.",
        discussion: """
            Writes a copy of the bundle with a file beside the weights: every layer rounded so that its results change least \
            on images like some that are to be labelled; they need no labels. With it label --precision int8 keeps more \
            labels and is faster, and --precision auto takes int8.

            Exit codes: 0 written, 2 wrong usage, 3 the model, the images or the output cannot be used.
            """)

    @Option(help: "The folder of the merged model.")
    var bundle: String

    @Option(parsing: .upToNextOption, help: "Folders of images, each gone through with all below it.")
    var calibration: [String] = []

    @Option(help: "How many of the images are looked at, spread evenly over each folder (1...10000).")
    var images = 128

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    @Option(help: "How many threads to use (1...256; default: the number of cores).")
    var threads: Int?

    @Flag(help: "Replace a bundle that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        guard !calibration.isEmpty else { throw ValidationError("Give at least one folder to --calibration.") }
        guard (1...10_000).contains(images) else {
            throw ValidationError("--images must be from 1 to 10000, not \(images).")
        }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads must be from 1 to 256, not \(threads).")
        }
        try RawArguments.checkText([bundle, output] + calibration)
    }

    func run() throws {
        let interruption = Interruption()
        // The folder first: a place that cannot be written should be known before images are read.
        let folder = try AtomicFolder(output, replaces: force)
        interruption.watch { folder.discard() }
        do {
            try quantize(to: folder)
        } catch {
            folder.discard()
            throw error
        }
    }

    private func quantize(to folder: AtomicFolder) throws {
        let bundle = try ModelBundle(folder: bundle)
        let preparer = PatchPreparer(bundle, decoding: DecodingOptions())
        let pictures = try pictures(preparer)
        let (configuration, preprocessing) = (bundle.backbone.configuration, bundle.preprocessing)
        let roundings = try bundle.groups.map { group in
            try BackboneRounding(
                group.backbone, configuration: configuration, imageSize: configuration.inputSize(preprocessing),
                images: pictures.count, threads: threads ?? LabelModelOptions.availableCores
            ) { image, patches in
                preparer.writePatches(of: pictures[image], into: patches)
            }
        }
        try QuantizedBundle.write(bundle, roundings, to: folder)
        try folder.commit()
        if !isQuiet {
            StandardStream.error.write("measured \(pictures.count) images, wrote \(output)\n")
        }
    }

    /// As many pictures of each folder as of the others, spread evenly over it.
    private func pictures(_ preparer: PatchPreparer) throws -> [RGBImage] {
        let log = Warnings.logger(quiet: isQuiet)
        return try calibration.enumerated().flatMap { index, folder in
            let prepared = try PreparedImages([RawArguments.path(folder)], preparer: preparer)
            if let first = prepared.skipped.first {
                log.warning(
                    "\(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)")
            }
            guard !prepared.pictures.isEmpty else { throw ModelError(folder, "expected images, found none") }
            let share = (images * (index + 1) / calibration.count) - (images * index / calibration.count)
            let count = min(max(share, 1), prepared.pictures.count)
            return (0..<count).map { prepared.pictures[$0 * prepared.pictures.count / count] }
        }
    }
}
