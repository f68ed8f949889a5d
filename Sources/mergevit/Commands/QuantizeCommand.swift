import Adapters
import ArgumentParser
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
            labels and is faster. Up to four times as many other images tell how many labels stay as they are in f32: with 99 % \
            and more --precision auto takes int8.

            Exit codes: 0 written, 2 wrong usage, 3 the model, the images or the output cannot be used.
            """)

    @Option(help: "The folder of the merged model.")
    var bundle: String

    @Option(parsing: .upToNextOption, help: "Folders of images, each gone through with all below it.")
    var calibration: [String] = []

    @Option(help: "For how many of the images, spread evenly over each folder (1...10000).")
    var images = 128

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    @Option(help: "How many threads to use (1...256; default: the processors available to the process).")
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
        // The folder first: a place that cannot be written should be known before images are read.
        let folder = try AtomicFolder(output, replaces: force)
        Interruption.ends { folder.discard() }
        do {
            try showingStages(isQuiet: isQuiet) { try quantize(to: folder) }
        } catch {
            folder.discard()
            throw error
        }
    }

    private func quantize(to folder: AtomicFolder) throws {
        let log = Warnings.logger(quiet: isQuiet)
        let bundle = try ModelBundle(folder: bundle)
        try ModelBundle.check(bundle.backbone, heads: bundle.heads)
        let run = QuantizeRun(
            bundle, threads: threads ?? LabelModelOptions.availableCores, log)
        let pictures = try run.pictures(calibration, count: images)
        let agreement = try run.run(pictures, to: folder)
        try folder.commit()
        if let agreement, !agreement.isSufficient {
            log.warning(
                "fewer than \(Self.percent(Int8Agreement.requiredShare)) of the labels are kept: --precision auto will not take int8"
            )
        }
        guard !isQuiet else { return }
        StandardStream.error.write("rounded for \(pictures.measured.count) images, wrote \(output)\n")
        StandardStream.error.write(Self.text(agreement, onOthers: !pictures.areSame))
    }

    private static func text(_ agreement: Int8Agreement?, onOthers: Bool) -> String {
        guard let agreement else {
            return ComputePrecision.int8.isSupported
                ? "" : "labels were not compared, as this processor has no int8: --precision auto will not take it\n"
        }
        let tasks = agreement.tasks.map { "\($0.task) \(percent($0.share))" }.joined(separator: ", ")
        return """
            labels as in f32 on \(onOthers ? "\(agreement.images) others" : "these"): \
            \(percent(agreement.mean))\(agreement.tasks.count > 1 ? " (\(tasks))" : "")

            """
    }

    /// Never more than there is, or what is not enough could look like it.
    private static func percent(_ share: Double) -> String { "\(tenths((1000 * share).rounded(.down) / 10)) %" }
}
