import Adapters
import ArgumentParser
import Logging
import VisionTransformers

/// `mergevit merge`.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into one backbone and write a bundle.",
        discussion: """
            Each adapter is a PEFT folder, or a folder or .safetensors file with only a head. Its task keeps its own head \
            and class names; the backbone is the base plus the merged changes..

            Exit codes: 0 written, 2 wrong usage, 3 the base, an adapter or the output cannot be used.
            """)

    @OptionGroup var input: AdapterOptions
    @OptionGroup var method: MethodOptions
    @OptionGroup var calibration: CalibrationOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "The bundle's folder.")
    var output: String

    @Flag(help: "Replace a bundle that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws { try RawArguments.checkText([output]) }

    func run() throws {
        let log = Warnings.logger(quiet: isQuiet)
        let (method, settings) = try method.chosen()
        let (base, adapters) = try input.open(log)
        var merged = try MergedBackbone(base: base, adapters: adapters, method: method, settings: settings)
        let aligned = try calibrate(&merged, log)
        let heads = try BundleWriter.write(merged, heads: aligned, to: output, replaces: force) { discard in
            Interruption().watch(discard)
        }
        if heads.isEmpty { log.warning("\(output) has no tasks: no adapter was given, and the base has no head") }
        guard !isQuiet else { return }
        let tasks = heads.map { "\($0.task) (\($0.classes.count))" }.joined(separator: ", ")
        StandardStream.error.write(
            "merged \(adapters.count) adapter\(adapters.count == 1 ? "" : "s") by \(method.name) at scale "
                + "\(merged.settings["scale"]) into \(output): \(tasks)\n")
    }

    /// Chooses the scale and aligns the heads, as far as that was asked for.
    private func calibrate(_ merged: inout MergedBackbone, _ log: Logger) throws -> [Head]? {
        guard calibration.isUsed else { return nil }
        let calibrator = try calibration.calibrator(
            base: merged.base, adapters: merged.adapters, threads: LabelModelOptions.availableCores, log: log)
        if calibration.tune {
            let (best, divergences) = try calibrator.chooseScale(
                of: merged, among: CalibrationOptions.scales, aligning: calibration.align)
            merged = best
            report("scale \(best.settings["scale"]) diverges least from the single adapters, by")
            for (scale, divergence) in divergences { report("  scale \(scale): \(divergence) nats") }
        }
        guard calibration.align else { return nil }
        let results = try calibrator.align(merged, rank: calibration.alignRank)
        for result in results {
            report(
                "\(result.head.task): aligned on \(result.images) images; same label as its single adapter on "
                    + "\(result.before.sameLabel) of the held-out before, \(result.after.sameLabel) after "
                    + "(ridge \(result.ridge))")
        }
        return results.map(\.head)
    }

    private func report(_ line: String) {
        if !isQuiet { StandardStream.error.write(line + "\n") }
    }
}
