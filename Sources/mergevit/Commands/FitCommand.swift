import ArgumentParser
import Compute
import Files
import Logging
import VisionTransformers
import Workflows

/// `mergevit fit`.
struct FitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fit",
        abstract: "Measure what a bundle's tasks look like, so that label can say whether a task applies.",
        discussion: """
            Computes unlabelled images of each task by the bundle's backbone and keeps what they look like in the \
            bundle, in fit.safetensors. Rows of label then have TASK_fit: the share of the task's own images that lie \
            at least as far as the image, from 0 to 1. label --min-fit 0.05 leaves answers empty where a task does not \
            apply, and keeps 95 % of the images to which it does.

            One image in five is held out, and they should be images that the tasks were not trained on: at least 100, \
            better 500, per task. Of a folder that is divided into splits the training images are taken. Give the \
            images of all tasks in one command, so that tasks are told apart from each other.

            Example:
              mergevit fit --bundle model --images birds=photos/birds --images cars=photos/cars

            Exit codes: 0 written; 2 wrong usage; 3 the bundle or the images cannot be used.
            """)

    @OptionGroup(title: "Required") var bundle: BundleOption
    @OptionGroup(title: "Required") var images: FitImageOptions

    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup var holding: GroupByOption

    @Option(
        help: .init(
            "PRECISION",
            "Number format of the backbone: f32, or bf16, which is about twice as fast."))
    var precision = OperandType.f32

    @OptionGroup var threads: ThreadOption
    @OptionGroup var quiet: QuietOption

    /// The images of each task.
    struct FitImageOptions: ParsableArguments {
        @Option(
            name: .customLong("images"),
            help: .init("TASK=DIR", "Unlabelled images of a task, searched with all folders below; may be repeated."))
        var images: [NamedValue] = []

        func validate() throws {
            guard !images.isEmpty else { throw ValidationError("Give at least one --images TASK=DIR.") }
        }
    }

    func run() throws {
        let log = quiet.log
        let folders = Dictionary(grouping: images.images, by: \.name).mapValues { $0.map(\.value.text) }
        let job = FitJob(
            bundle: bundle.bundle.text, folders: folders, pattern: holding.groupBy?.pattern,
            passes: PassSettings(threads: threads.count, precision: precision))
        let outcome = try showingStages(isQuiet: quiet.isQuiet) {
            try job.run { log.warning("\(description(of: $0))") }
        }
        let few = outcome.tasks.filter { $0.heldOut < Self.fewHeldOut }
        if !few.isEmpty {
            let text = few.map { "\($0.name) \($0.heldOut)" }.joined(separator: ", ")
            log.warning(
                """
                fewer than \(Self.fewHeldOut) held-out images: \(text); no image gets a fit of 0.05 or less there, so \
                that --min-fit 0.05 rejects nothing
                """)
        }
        let text = outcome.tasks.map { "\($0.name) (\($0.fitted) images, \($0.heldOut) more held out)" }
        quiet.say("fitted \(text.joined(separator: ", ")); wrote \(bundle.bundle.text)/\(FitFile.name)")
        if !outcome.without.isEmpty { quiet.say("without a fit: \(outcome.without.joined(separator: ", "))") }
    }

    /// With fewer held-out images than these the smallest fit is above 0.05.
    private static let fewHeldOut = 20
}
