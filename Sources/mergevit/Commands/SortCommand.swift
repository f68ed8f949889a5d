import ArgumentParser
import Files
import Logging
import Workflows

/// `mergevit sort`.
struct SortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sort",
        abstract: "Sort labelled pictures into class folders.",
        discussion: """
            Reads what label wrote and puts each picture into DIR/<class>/, as train and evaluate read them. Failed \
            pictures, those without a label and those below a limit are left out. Nothing is overwritten, and names \
            stay unique in all of DIR, so pictures can be moved between its folders.

            The same command resumes an interrupted run, and adds new pictures later; those that it has sorted before \
            stay where they are. --undo moves pictures back that --move has moved.

            Example:
              mergevit sort labels.csv --by trash --min-score 0.9 --link -o sorted

            Exit codes: 0 sorted; 1 more pictures could not be sorted than --max-failed allows; 2 wrong usage; 3 the \
            labels or DIR cannot be used, or there is nothing to sort.
            """)

    @Argument(help: .init("LABELS", "File that label wrote."))
    var labels: PathArgument?

    @Option(help: .init("TASK", "Task whose classes are the folders."))
    var by: TextArgument?

    @Flag(help: "Make symbolic links to the pictures.")
    var link = false

    @Flag(help: "Copy the pictures.")
    var copy = false

    @Flag(help: "Move the pictures; DIR has a log that --undo reads.")
    var move = false

    @Option(name: [.customShort("o"), .customLong("output")], help: .init("DIR", "Folder of the class folders."))
    var output: PathArgument?

    @Option(help: .init("S", "Leave out pictures with a lower score."))
    var minScore: FiniteNumber?

    @Option(help: .init("F", "Leave out pictures with a lower fit (column <task>_fit)."))
    var minFit: FractionArgument?

    @OptionGroup var reading: LabelFileOptions

    @Option(help: .init("LOG", "Move the pictures back that are in this log, or in the log of this folder."))
    var undo: PathArgument?

    @OptionGroup var tolerance: FailureOptions
    @OptionGroup var quiet: QuietOption

    /// The job; nil if something is missing.
    private var job: SortJob? {
        let modes = [link ? SortMode.link : nil, copy ? .copy : nil, move ? .move : nil].compactMap(\.self)
        guard let labels, let by, let output, let mode = modes.first, modes.count == 1 else { return nil }
        var job = SortJob(labels: labels.path, task: by.text, mode: mode, output: output.path)
        (job.minimumScore, job.minimumFit) = (minScore?.value, minFit?.value)
        (job.root, job.separator) = (reading.root?.path, reading.separator)
        return job
    }

    func validate() throws {
        guard undo != nil else {
            guard job == nil else { return }
            throw ValidationError("Give LABELS, --by, -o, and one of --link, --copy and --move; or --undo.")
        }
        let isAlone = labels == nil && by == nil && output == nil && !(link || copy || move) && minScore == nil
        guard isAlone, minFit == nil, reading.root == nil, reading.labelSeparator == nil else {
            throw ValidationError("--undo goes with no other options but --max-failed and -q.")
        }
    }

    func run() throws {
        Interruption.ends(advice: "to resume, run the same command")
        if let undo {
            let outcome = try showingStages(isQuiet: quiet.isQuiet) { try SortUndo(undo.path).run() }
            quiet.say("moved \(Self.pictures(outcome.restored)) back from \(outcome.folder)")
            try check(outcome.failures, of: outcome.restored + outcome.failures.count, "moved back")
        } else if let job {
            let outcome = try showingStages(isQuiet: quiet.isQuiet) {
                try job.run { quiet.log.warning("\(description(of: $0))") }
            }
            report(outcome, job)
            let total = outcome.placed + outcome.earlier + outcome.failures.count
            try check(outcome.failures, of: total, job.mode.verb)
        }
    }

    private static func pictures(_ count: Int) -> String { "\(count) picture\(count == 1 ? "" : "s")" }

    private func report(_ outcome: SortJob.Outcome, _ job: SortJob) {
        let earlier = outcome.earlier > 0 ? "; \(outcome.earlier) were sorted before" : ""
        let classes = outcome.classes.map { "\($0.name) (\($0.count))" }.joined(separator: ", ")
        quiet.say("\(job.mode.verb) \(Self.pictures(outcome.placed)) to \(job.output)\(earlier): \(classes)")
        if !outcome.omitted.isEmpty {
            quiet.say("left out: " + outcome.omitted.map { "\($0.count) \($0.reason)" }.joined(separator: ", "))
        }
        for (folder, name) in outcome.renamed { quiet.say("the folder of \"\(name)\" is \"\(folder)\"") }
        if job.mode == .move { quiet.say("to move them back: mergevit sort --undo \(outcome.log)") }
    }

    private func check(_ failures: [(path: BytePath, reason: String)], of total: Int, _ verb: String) throws {
        guard let first = failures.first else { return }
        let text =
            "\(Self.pictures(failures.count)) could not be \(verb); the first: \(first.path): \(first.reason)"
        guard !tolerance.allows(failures.count, of: total) else { return quiet.log.warning("\(text)") }
        quiet.log.error("\(text)")
        throw ExitCode(Exit.someFailed)
    }
}
