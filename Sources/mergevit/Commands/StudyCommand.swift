import ArgumentParser
import Evaluation
import Files
import Labelling
import Reports
import Training
import Workflows

/// `mergevit study`.
struct StudyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "Measure what merging does to each task: every pair, every triple and all of them.",
        discussion: """
            Each task's own adapter and a head over the base as it is are the yardsticks; adapters and heads that are not given \
            are trained. Nothing is chosen by the images that are measured on (test, or val where there is no test).

            Writes study.csv, study.html and charts into the folder. Results are kept as they come: a study that was stopped or \
            killed goes on with the same command, to the same bytes. docs/study.md has a study of six tasks.

            Exit codes: 0 measured, 1 some images could not be used, 2 wrong usage, 3 the base, the data or the folder cannot be \
            used, 130 or 143 stopped by a signal.
            """)

    @Option(help: "The Hugging Face folder of the base.")
    var base: String

    @OptionGroup var plan: StudyPlanOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder of the study.")
    var output: String

    @OptionGroup var options: StudyRunOptions

    func validate() throws { try RawArguments.checkText([base, output]) }

    func run() throws {
        let request = Interruption.Request()
        Interruption.asks(request, advice: Self.advice)
        var display = StudyDisplay(Warnings.logger(quiet: options.isQuiet), isQuiet: options.isQuiet)
        let job = try job()
        let outcome = try showingStages(
            isQuiet: options.isQuiet, on: display.stages, isStopped: { request.number != nil }
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
                bootstrap: BootstrapOptions(resamples: options.bootstrap, seed: options.seed))
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
        let file = try OutputFile.replacing(BytePath("\(output)/\(name)"))
        try bytes.withUnsafeBytes { try file.write($0) }
        try file.commit()
    }

    private func job() throws -> StudyJob {
        var job = StudyJob(base: base, tasks: plan.tasks.map(\.task), plan: try plan.plan, output: output)
        job.scales = MergeJob.scales
        job.calibrationImages = options.calibrationImages
        job.tuningImages = options.tuningImages
        job.epochs = options.epochs
        job.headEpochs = options.headEpochs
        job.seed = options.seed
        job.imageMemory = options.imageMemory << 20
        job.allowsOtherBase = options.otherBase.isAllowed
        job.decoding = options.decoding.options
        job.threads = options.threads ?? LabelModelOptions.availableCores
        job.version = MergeVit.versionNumber
        return job
    }
}
