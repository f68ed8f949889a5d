import Adapters
import ArgumentParser
import Compute
import Files
import Images
import Logging
import Tensors
import Training
import VisionTransformers
import Workflows

/// `mergevit train`.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a LoRA adapter and a head for a task, over a frozen base.",
        discussion: """
            Writes a PEFT folder that merge and PEFT read, or with --head-only a folder with only a head. Of an \
            adapter, the epoch that is best on the validation images is written; of a head alone, the last.

            --resume continues an interrupted run; the result is byte-identical to an uninterrupted one. The same seed \
            gives the same bytes for any --threads. --force also discards an interrupted run.

            Example:
              mergevit train --base vit-base --data birds=photos/birds -o adapters/birds

            Exit codes: 0 written; 2 wrong usage; 3 the base, the data or the output cannot be used; 130 or 143 \
            stopped by a signal.
            """)

    @OptionGroup(title: "Required") var base: BaseOption
    @OptionGroup(title: "Required") var required: RequiredOptions
    @OptionGroup(title: "Required") var output: OutputFolderOption
    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Data") var input: TrainDataOptions
    @OptionGroup(title: "Adapter") var adapter: TrainAdapterOptions
    @OptionGroup(title: "Training") var options: TrainRunOptions
    @OptionGroup(title: "Preprocessing") var preprocessor: PreprocessorOptions
    @OptionGroup(title: "Checkpoints") var checkpoints: CheckpointOptions

    @Option(help: .init("FILE", "Write every step and epoch to FILE, one JSON object per line."))
    var log: PathArgument?

    @OptionGroup var threads: ThreadOption
    @OptionGroup var replacing: ReplaceFolderOption
    @OptionGroup var quiet: QuietOption

    /// What is trained on what.
    struct RequiredOptions: ParsableArguments {
        @Option(
            help: .init(
                "TASK=DATA",
                """
                The task and its labelled images: DIR/{train,val}/<class>/..., DIR/<class>/..., or a CSV or TSV with \
                the columns path and label, or one that label wrote.
                """))
        var data: Named<PathArgument>
    }

    private var task: String { required.data.name }

    func validate() throws {
        do { try ModelBundle.checkTaskName(task, path: "--data") } catch { throw ValidationError("\(error)") }
        guard !adapter.headOnly || !input.asksForCrops else {
            throw ValidationError(
                "--head-only computes features once, so images cannot be cropped: --augment flip or none.")
        }
    }

    func run() throws {
        let job = try job()
        let warnings = quiet.log
        if let merged = try MergedBase(folder: base.base.text) {
            warnings.notice("\(base.base.text) \(merged.description); the head will fit its backbone alone")
        }
        for note in job.data.notes { warnings.warning("\(description(of: note))") }
        let request = Interruption.Request()
        Interruption.asks(request, advice: Self.advice)
        let journal = try log.map { try TrainLog($0.path, appends: checkpoints.resume) }
        if let warning = input.warning(of: job.data) { warnings.warning("\(warning)") }
        let counts = ClassCounts(job.data)
        if job.data.labels == nil, !job.settings.balances, let warning = TrainDisplay.warning(counts) {
            warnings.warning("\(job.data.source): \(warning)")
        }
        var display = TrainDisplay(
            warnings, isQuiet: quiet.isQuiet, isHeadOnly: adapter.headOnly, isMultiLabel: job.data.labels != nil,
            counts: TrainDisplay.text(counts, of: job.data))
        let outcome = try showingStages(isQuiet: quiet.isQuiet, isStopped: { request.number != nil }) {
            try job.run { event in
                display.show(event)
                journal?.write(event)
                return request.number == nil && journal?.failure == nil
            }
        }
        display.finish()
        if let failure = journal?.failure { throw failure }
        switch outcome {
        case .finished(let kept, let epochs, let skipped):
            quiet.say(
                TrainDisplay.summary(
                    task, output.path, kept: kept, epochs: epochs, skipped: skipped,
                    classes: job.data.labels == nil ? job.data.classes : []))
        case .stopped(let steps, let total):
            throw Interruption.stopped(
                by: request, steps > 0 ? "after step \(steps) of \(total)" : "before the first step",
                advice: steps > 0 || checkpoints.resume ? Self.advice : Interruption.nothingWritten)
        }
    }

    /// How to resume.
    static let advice = "to resume, run the same command with --resume"

    private func job() throws -> TrainingJob {
        var job = TrainingJob(
            base: base.base.text, data: try input.list(required.data.value.path, task, seed: options.seed), task: task,
            output: output.path, lora: try adapter.lora)
        job.precision = adapter.precision ?? .f32
        options.apply(to: &job)
        job.preprocessor = preprocessor.choice
        job.augmentation = input.augmentation(job.augmentation)
        job.imageMemory = input.memory.bytes
        job.names = adapter.names == .transformers4 ? .transformers4 : .transformers5
        job.isStrict = input.strict
        job.replaces = replacing.force
        job.resumes = checkpoints.resume
        job.checkpointSeconds = checkpoints.checkpointSeconds
        job.checkpointSteps = checkpoints.checkpointSteps
        job.threads = threads.count
        job.version = MergeVit.versionNumber
        return job
    }
}
