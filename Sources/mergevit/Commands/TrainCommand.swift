import Adapters
import ArgumentParser
import Compute
import Labelling
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
            Writes a PEFT folder that merge and PEFT read, or with --head-only a folder with a head alone. The epoch that is \
            best on the validation images is written, of a head alone the last. docs/training.md has the layouts of data and what is written.

            A run that was stopped or killed goes on with the same options and --resume, to the same bytes as one that was \
            not. The same seed gives the same bytes for any --threads.

            Exit codes: 0 written, 2 wrong usage, 3 the base, the data or the output cannot be used, 130 or 143 stopped by a \
            signal.
            """)

    @Option(help: "The Hugging Face folder of the base.")
    var base: String

    @Option(help: "The task's name.")
    var task: String

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    @OptionGroup var preprocessor: PreprocessorOptions
    @OptionGroup var input: TrainDataOptions
    @OptionGroup var adapter: TrainAdapterOptions
    @OptionGroup var options: TrainRunOptions

    @Flag(help: "Go on with a run that was stopped, if there is one.")
    var resume = false

    @Option(help: "Seconds between checkpoints within an epoch.")
    var checkpointSeconds = 60.0

    @Option(help: "Steps between checkpoints within an epoch.")
    var checkpointSteps: Int?

    @Option(help: "How many threads to use (1...256; default: the processors available to the process).")
    var threads: Int?

    @Option(help: "Write a line of JSON for every step and epoch to this file.")
    var log: String?

    @Flag(help: "Replace an adapter that is there already, and give up a run that was stopped.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws {
        try RawArguments.checkText([base, task, output])
        do { try ModelBundle.checkTaskName(task, path: "--task") } catch { throw ValidationError("\(error)") }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads must be from 1 to 256, not \(threads).")
        }
        guard checkpointSeconds >= 0 else {
            throw ValidationError("--checkpoint-seconds must be at least 0, not \(checkpointSeconds).")
        }
        if let checkpointSteps, checkpointSteps < 1 {
            throw ValidationError("--checkpoint-steps must be at least 1, not \(checkpointSteps).")
        }
        guard !adapter.headOnly || !input.asksForCrops else {
            throw ValidationError(
                "--head-only computes features once, so images cannot be cropped: --augment flip or none.")
        }
    }

    func run() throws {
        let job = try job()
        let warnings = Warnings.logger(quiet: isQuiet)
        if let merged = try MergedBase(folder: base) {
            warnings.notice("\(base) \(merged.description); the head will fit its backbone alone")
        }
        for note in job.data.notes { warnings.warning("\(note)") }
        let request = Interruption.Request()
        Interruption.asks(request, advice: Self.advice)
        let journal = try log.map { try TrainLog(RawArguments.path($0), appends: resume) }
        if let warning = input.warning(of: job.data) { warnings.warning("\(warning)") }
        var display = TrainDisplay(
            warnings, isQuiet: isQuiet, isHeadOnly: adapter.headOnly, isMultiLabel: job.data.labels != nil)
        let outcome = try showingStages(isQuiet: isQuiet, isStopped: { request.number != nil }) {
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
            guard !isQuiet else { return }
            StandardStream.error.write(
                TrainDisplay.summary(task, output, kept: kept, epochs: epochs, skipped: skipped))
        case .stopped(let steps, let total):
            throw Interruption.stopped(
                by: request, steps > 0 ? "after step \(steps) of \(total)" : "before the first step",
                advice: steps > 0 || resume ? Self.advice : Interruption.nothingWritten)
        }
    }

    /// How to resume.
    static let advice = "to resume, run the same command with --resume"

    private func job() throws -> TrainingJob {
        var job = TrainingJob(
            base: base, data: try input.list(task, seed: options.seed), task: task, output: output,
            lora: try adapter.lora)
        job.precision = adapter.precision ?? .f32
        options.apply(to: &job)
        job.preprocessor = preprocessor.choice
        job.augmentation = input.augmentation(job.augmentation)
        job.imageMemory = input.imageMemory << 20
        job.names = adapter.names == .transformers4 ? .transformers4 : .transformers5
        job.isStrict = input.strict
        job.replaces = force
        job.resumes = resume
        job.checkpointSeconds = checkpointSeconds
        job.checkpointSteps = checkpointSteps
        job.threads = threads ?? LabelModelOptions.availableCores
        job.version = MergeVit.versionNumber
        return job
    }
}
