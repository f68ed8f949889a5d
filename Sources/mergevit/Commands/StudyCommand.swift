import ArgumentParser
import Evaluation
import Files
import Reports
import Training
import VisionTransformers
import Workflows

/// `mergevit study`.
struct StudyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "Measure what merging does to each task: every pair, every triple and all of them.",
        discussion: """
            Compares every merge with each task's own adapter and with a head over the unchanged base. Adapters and \
            heads that are not given are trained. Nothing is chosen by the images that are measured on (test, or val \
            where there is no test).

            Writes study.csv, study.html and charts to the folder. Results are kept as they come: the same command \
            resumes an interrupted study, and the result is byte-identical to an uninterrupted one.

            Example:
              mergevit study --base vit-base --data birds=photos/birds --data cars=photos/cars -o study

            Exit codes: 0 measured; 1 some images could not be used; 2 wrong usage; 3 the base, the data or the folder \
            cannot be used; 130 or 143 stopped by a signal.
            """)

    @OptionGroup(title: "Required") var base: BaseOption
    @OptionGroup(title: "Required") var tasks: StudyTaskOptions
    @OptionGroup(title: "Required") var output: OutputFolderOption
    @OptionGroup(title: "Project") var project: ProjectOptions
    @OptionGroup(title: "Merges") var plan: StudyPlanOptions
    @OptionGroup(title: "Measurement") var options: StudyRunOptions
    @OptionGroup var threads: ThreadOption
    @OptionGroup var quiet: QuietOption

    func validate() throws {
        do { _ = try plan.plan(tasks.tasks) } catch {
            throw ValidationError(description(of: error))
        }
    }

    func run() throws {
        let request = Interruption.Request()
        Interruption.asks(request, advice: Self.advice)
        var display = StudyDisplay(quiet.log, isQuiet: quiet.isQuiet)
        let job = try job()
        let outcome = try showingStages(
            isQuiet: quiet.isQuiet, on: display.stages, isStopped: { request.number != nil }
        ) {
            try job.run { event in
                display.show(event)
                return request.number == nil
            }
        }
        display.finish()
        switch outcome {
        case .finished(let study, let skipped):
            let page = StudyPage(
                study, command: RawArguments.commandLine,
                bootstrap: BootstrapOptions(resamples: options.statistics.bootstrap, seed: options.seed))
            try write("study.csv", study.csv)
            try write("study.html", Array(page.text.utf8))
            for chart in page.charts { try write("\(chart.name).svg", Array(chart.text.utf8)) }
            StandardStream.output.write(StudyText.table(study))
            guard skipped == 0 else { throw ExitCode(Exit.someFailed) }
        case .stopped(let done, let total):
            throw Interruption.stopped(by: request, "with \(done) of \(total) results", advice: Self.advice)
        }
    }

    /// How to resume.
    private static let advice = "to resume, run the same command"

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = try OutputFile.replacing(BytePath("\(output.path)/\(name)"))
        try bytes.withUnsafeBytes { try file.write($0) }
        try file.commit()
    }

    private func job() throws -> StudyJob {
        var job = StudyJob(
            base: base.base.text, tasks: tasks.tasks, plan: try plan.plan(tasks.tasks), output: output.path)
        job.scales = MergeJob.scales
        job.calibrationImages = options.calibrationImages
        job.tuningImages = options.tuningImages
        job.epochs = options.epochs
        job.headEpochs = options.headEpochs
        job.seed = options.seed
        job.imageMemory = options.memory.bytes
        job.featureCache = options.cache.settings
        job.allowsOtherBase = options.otherBase.isAllowed
        job.decoding = options.decoding.options
        job.threads = threads.count
        job.precision = options.precision
        job.version = MergeVit.versionNumber
        return job
    }
}
