import ArgumentParser
import Files
import Logging
import Reports
import VisionTransformers
import Workflows

/// `mergevit quantize`.
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Round a merged model to eight bits so that it keeps its labels.",
        discussion: """
            Writes a copy of the bundle with 8-bit weights beside the original ones. Every layer is rounded so that \
            its output changes least on images like those to be labelled; they need no labels. label --precision int8 \
            then keeps more labels and is faster. What rounding harms most for its time is left in floats. The labels \
            are compared with those of f32 on up to four times as many other images: if 99 % or more are kept, \
            --precision auto uses int8.

            Example:
              mergevit quantize --bundle model --calibration photos/ -o model-int8

            Exit codes: 0 written; 2 wrong usage; 3 the model, the images or the output cannot be used.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption

    @OptionGroup(title: "Required") var calibration: CalibrationFolderOption

    @OptionGroup(title: "Required") var output: OutputFolderOption

    @OptionGroup(title: "Project") var project: ProjectOptions
    @Option(help: .init("N", "Number of images to round for, spread evenly over each folder, 1 to 10000."))
    var images = 128

    @Option(
        help: .init(
            "PERCENT",
            """
            Also merge alike patch tokens of each image, as many as keep this share of the labels of f32 on the other \
            images, 50 to 100, and align heads with them. --precision auto then merges them.
            """))
    var keep: Double?

    @OptionGroup var threads: ThreadOption
    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    /// The folders of images.
    struct CalibrationFolderOption: ParsableArguments {
        @Option(
            name: .customLong("calibration"),
            help: .init(
                "[TASK=]DIR",
                """
                Images of one task, or of any: a folder with all below it, or a table; may be repeated. A task \
                that has images of its own is compared on these.
                """)
        )
        var arguments: [TextArgument] = []

        /// The folders, with the task that each is of.
        var folders: [QuantizationJob.Folder] {
            arguments.map { argument in
                let named = CalibrationImageOptions.named(argument.text)
                return .init(named?.value.text ?? argument.text, task: named?.name)
            }
        }

        func validate() throws {
            guard !arguments.isEmpty else { throw ValidationError("Give at least one --calibration [TASK=]DIR.") }
        }
    }

    func validate() throws {
        try check("--images", images, in: 1...10_000)
        if let keep, !(50...100).contains(keep) {
            throw ValidationError("--keep must be 50 to 100, not \(NumberText.plainSignificant(keep)).")
        }
    }

    func run() throws {
        let log = quiet.log
        let job = QuantizationJob(
            bundle: bundle.bundle.text, folders: calibration.folders, images: images,
            keep: keep.map { $0 / 100 }, output: output.path, replaces: replacing.force, threads: threads.count)
        let outcome = try showingStages(isQuiet: quiet.isQuiet) {
            try job.run(
                begin: { discard in Interruption.ends(cleanup: discard) },
                warn: { log.warning("\(description(of: $0))") })
        }
        if let merging = outcome.tokenMerging {
            if !merging.isSufficient {
                log.warning("even with all tokens fewer labels are kept: --precision auto will not use int8")
            }
        } else if let agreement = outcome.agreement, !agreement.isSufficient {
            let required = percentage(roundingDown: LabelAgreement.requiredShare, decimals: 1)
            log.warning(
                """
                fewer than \(required) of the labels are kept: --precision auto will \
                not use int8
                """)
        }
        quiet.say("rounded for \(outcome.images) images, wrote \(output.path)")
        if let floats = outcome.floats, !floats.isEmpty {
            let names = floats.map(\.description).joined(separator: ", ")
            quiet.say("left in floats, as rounding them harms most: \(names)")
        }
        if let text = Self.text(outcome) { quiet.say(text) }
        if let merging = outcome.tokenMerging { quiet.say(Self.text(merging)) }
        if !outcome.alignedTasks.isEmpty {
            quiet.say("heads aligned with merged tokens: \(outcome.alignedTasks.joined(separator: ", "))")
        }
    }

    private static func text(_ merging: KeptTokenMerging) -> String {
        guard merging.schedule.mergesAny else { return "no token merging keeps enough labels" }
        let agreement = merging.agreement
        let tasks = agreement.tasks.map { "\($0.task) \(percent($0.share))" }.joined(separator: ", ")
        return """
            merging tokens, in each block: \(merging.schedule); \(percent(merging.cost)) of the operations; labels as \
            in f32 on \(agreement.images) others: \(percent(agreement.mean))\
            \(agreement.tasks.count > 1 ? " (\(tasks))" : "")
            """
    }

    /// A share in percent: what is not sufficient never looks like it.
    private static func percent(_ share: Double) -> String { percentage(roundingDown: share, decimals: 1) }

    private static func text(_ outcome: QuantizationJob.Outcome) -> String? {
        guard let agreement = outcome.agreement else {
            return ComputePrecision.int8.isSupported
                ? nil : "labels were not compared, as this processor has no int8: --precision auto will not use it"
        }
        let tasks = agreement.tasks.map { "\($0.task) \(percent($0.share))" }.joined(separator: ", ")
        return """
            labels as in f32 on \(outcome.isComparedOnOthers ? "\(agreement.images) others" : "these"): \
            \(percent(agreement.mean))\(agreement.tasks.count > 1 ? " (\(tasks))" : "")
            """
    }
}
