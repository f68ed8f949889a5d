import Adapters
import Compute
import Evaluation
import Files
import Labelling
import Reports
import Training
import VisionTransformers
import Workflows

/// What a merge says on stderr: choices as lines, training on the status line.
struct MergeDisplay {
    private let isQuiet: Bool
    private var training: DistillationDisplay?
    /// The last report of each task, on images of `--holdout` if there are any.
    private var agreements: [String: AgreementReport] = [:]

    init(isQuiet: Bool) { self.isQuiet = isQuiet }

    /// Shows an event, if it is one to be shown.
    mutating func show(_ event: MergeEvent) {
        switch event {
        case .tuned(let tasks, let merge, let parameters, let loss):
            let values = parameters.map { "\($0.name) \(Self.number(merge.values[$0]))" }
            say(
                "\(tasks.joined(separator: ", ")): \(values.joined(separator: ", ")), a loss of "
                    + "\(loss.rounded(to: 100)) nats "
                    + "on held-out images")
        case .reducedPrecision(let precision):
            let kept = percentage(roundingDown: precision.sameLabel, decimals: 1)
            say("computing images in \(precision.type), in which single adapters keep \(kept) of their labels")
        case .grouped(let count, let drop):
            say("\(count) group\(count == 1 ? "" : "s") for at most \(drop) % of other labels")
        case .aligned(let result): say(Self.text(result))
        case .agreement(let report):
            say(Self.text(report))
            if report.images == .holdout || agreements[report.task]?.images != .holdout {
                agreements[report.task] = report
            }
        case .distillationBegins: training = DistillationDisplay(isQuiet: isQuiet)
        case .distillation(let event): training?.show(event)
        case .distillationEnded: finish()
        case .distillationChange(let before, let after):
            let change = "held-out images: \(thousandths(before)) nats from the single adapters before training"
            say("\(change), \(thousandths(after)) after\(after < before ? "" : "; training is left out")")
        case .warning, .writing: break
        }
    }

    /// Takes the status line of a training away.
    mutating func finish() {
        training?.finish()
        training = nil
    }

    /// Says what was written.
    func say(_ result: MergeJob.Result, into output: String) {
        guard let first = result.groups.first?.merged else { return }
        let (groups, count) = (result.groups, result.groups.reduce(0) { $0 + $1.merged.adapters.count })
        let all = groups.map { Self.text($0.merged.plan) }
        let plans = Set(all).count == 1 ? all[0] : all.joined(separator: " and ")
        let method = first.plan.distillation == nil ? first.plan.merge.method.name : DistillationSettings.name
        let written =
            switch result.written {
            case .bundle(let heads): Self.text(heads)
            case .adapter(let result): Self.text(result)
            }
        sayWhatIsKept()
        say(
            "merged \(count) adapter\(count == 1 ? "" : "s")" + (groups.count > 1 ? " in \(groups.count) groups" : "")
                + " by \(method) \(plans)\(first.plan.streams == nil ? "" : " with a stream for each")"
                + Self.text(result.changes) + " into \(output): " + written)
        sayFits(result.fitted)
    }

    /// Says which tasks have a fit, if any.
    private func sayFits(_ tasks: [String]) {
        if !tasks.isEmpty { say("with the fits of \(tasks.joined(separator: ", ")), for label --min-fit") }
    }

    /// Says what was written.
    func say(_ result: TaskAdditionJob.Result, into output: String) {
        say("added \(Self.text(result.added)), wrote \(result.heads.count) tasks to \(output)")
        sayFits(result.fitted)
    }

    /// Says what was written.
    func say(_ result: TaskJoiningJob.Result, into output: String) {
        let backbones = result.backbones == 1 ? "" : ", which has \(result.backbones) backbones"
        say("added \(Self.text(result.added)), wrote \(result.heads.count) tasks to \(output)\(backbones)")
        sayFits(result.fitted)
        guard let remedy = result.remedy else { return }
        say("every backbone is a pass over each image; one merge of all adapters is one pass\(remedy.hint)")
    }

    /// Says what merging costs: the labels that are still those of the single adapters, over all tasks.
    private func sayWhatIsKept() {
        let reports = agreements.values.filter { !$0.isRegression }
        guard reports.count > 1, let least = reports.min(by: { Self.isLess($0, $1) }) else { return }
        let mean = reports.map(\.sameLabel.value).reduce(0, +) / Double(reports.count)
        say(
            "the merge keeps \(Self.percent(mean)) of its single adapters' labels, as a mean over \(reports.count) "
                + "tasks; least: \(least.task), \(Self.percent(least.sameLabel.value))")
    }

    private static func isLess(_ a: AgreementReport, _ b: AgreementReport) -> Bool {
        (a.sameLabel.value, a.task) < (b.sameLabel.value, b.task)
    }

    private static func percent(_ share: Double) -> String { "\((100 * share).rounded(to: 10)) %" }

    /// What became of tasks after a merge.
    private static func text(_ changes: TaskChanges) -> String {
        let renamed = changes.renamed.sorted { $0.key < $1.key }.map { "\($0.key) to \($0.value)" }
        let parts = [("removed", changes.removed), ("renamed", renamed), ("added", changes.additions.map(\.task))]
            .filter { !$0.1.isEmpty }
        return parts.map { ", \($0.0) \($0.1.joined(separator: ", "))" }.joined()
    }

    /// Heads with the number of their classes.
    static func text(_ heads: [Head]) -> String { heads.map(text).joined(separator: ", ") }

    private func say(_ text: String) { if !isQuiet { StandardStream.error.write(text + "\n") } }

    /// The scale of a merge, or the merge that it was distilled from.
    private static func text(_ plan: MergePlan) -> String {
        guard let distillation = plan.distillation else { return "at scale \(plan.merge.scale)" }
        return "from \(plan.merge.method.name) at scale \(plan.merge.scale) in \(distillation.steps) steps"
    }

    /// A head's task with the number of its classes, and its activation unless that is a softmax.
    private static func text(_ head: Head) -> String {
        let activation = head.activation == .softmax ? "" : ", activation \(head.activation.rawValue)"
        return "\(head.task) (\(head.classes.count)\(activation))"
    }

    private static func text(_ result: HeadAlignment.Result) -> String {
        let (before, after) = (
            (100 * result.before.sameLabel).rounded(to: 100), (100 * result.after.sameLabel).rounded(to: 100)
        )
        let (name, images) = (result.head.task, result.images)
        let isValue = result.head.activation == .identity
        let share =
            isValue
            ? "R² with its single adapter's values \(before / 100) on the held-out"
            : "labels as its single adapter's on \(before) % of the held-out"
        let aligned = isValue ? "\(after / 100)" : "\(after) %"
        return result.isKept
            ? "\(name): not aligned: \(share) as it is, \(aligned) aligned on \(images) images"
            : "\(name): aligned on \(images) images; \(share) before, \(aligned) after"
    }

    private static func text(_ report: AgreementReport) -> String {
        let images =
            switch report.images {
            case .heldOut: "held-out images"
            case .heldOutDrawn: "held-out drawn pictures"
            case .holdout: "images of --holdout"
            }
        let alike = report.groups < report.count ? " in \(report.groups) groups" : ""
        func interval(_ estimate: Estimate, _ factor: Double, _ places: Double) -> String {
            guard let interval = estimate.interval else { return "" }
            let ends = [interval.low, interval.high].map { "\((factor * $0).rounded(to: places))" }
            return " (95 % interval \(ends[0]) to \(ends[1]))"
        }
        let label = report.sameLabel
        let answers =
            report.isRegression
            ? "R² \(label.value.rounded(to: 1000)) with its single adapter's values"
            : "\((100 * label.value).rounded(to: 10)) % of labels as its single adapter's" + interval(label, 100, 10)
        let divergence = report.divergence
        return "\(report.task): on \(report.count) \(images)\(alike): \(answers), "
            + "KL \(divergence.value.rounded(to: 1000)) nats" + interval(divergence, 1, 1000)
    }

    /// What an adapter holds.
    private static func text(_ result: AdapterWriter.Result) -> String {
        let ranks = result.ranks
        var text = "\(result.modules) module\(result.modules == 1 ? "" : "s") of rank \(ranks.lowerBound)"
        if ranks.upperBound > ranks.lowerBound { text += " to \(ranks.upperBound)" }
        guard let worst = result.worst else { return text + ", nothing cut off" }
        return text
            + ", \(percentage(roundingDown: result.energy, decimals: 2)) of the delta's energy kept, "
            + "least in \(worst.module) "
            + "(\(percentage(roundingDown: worst.energy, decimals: 2)))"
    }

    /// A value of a parameter, with a decimal point if it is a real number.
    private static func number(_ value: MergeParameter.Value?) -> String {
        if case .number(let number)? = value { "\(number)" } else { value.map { "\($0)" } ?? "none" }
    }
}

/// The progress of a distillation: the status line, and a line for every tenth of the steps.
private struct DistillationDisplay {
    /// Lines that stay.
    private static let lines = 10

    private let status: StatusLine
    /// When the steps of this process began, and how many had been taken before.
    private var begun: (time: Double, steps: Int)?
    /// Sums since the last line that stays.
    private var sums = (steps: 0, distance: 0.0, divergence: 0.0, sameLabel: 0.0)

    init(isQuiet: Bool) {
        status = StatusLine(isQuiet: isQuiet)
    }

    /// Shows an event.
    mutating func show(_ event: DistillationEvent) {
        switch event {
        case .resumed(let steps):
            begun = (status.elapsed, steps)
            status.say("resuming after step \(steps)")
        case .step(let report):
            let count = add(report.distance, report.divergence, report.sameLabel)
            show(
                report.step, of: report.steps,
                [
                    "features \(thousandths(sums.distance / count)) of their variance away",
                    "answers \(thousandths(sums.divergence / count)) nats",
                    "\(tenths(100 * sums.sameLabel / count)) % of labels the same",
                ])
        case .tokenStep(let report):
            let count = add(report.distance)
            show(report.step, of: report.steps, ["patch tokens \(NumberText.plain(sums.distance / count, 4)) away"])
        }
    }

    /// Adds up a step's values, and gives the number of steps.
    private mutating func add(_ distance: Double, _ divergence: Double = 0, _ sameLabel: Double = 0) -> Double {
        sums.steps += 1
        sums.distance += distance
        sums.divergence += divergence
        sums.sameLabel += sameLabel
        return Double(sums.steps)
    }

    /// Takes the status line away.
    func finish() {
        status.clear()
    }

    private mutating func show(_ step: Int, of steps: Int?, _ parts: [String]) {
        // The first step comes after the single adapters have answered for the steps up to the next round.
        let begun = begun ?? (status.elapsed, step)
        self.begun = begun
        var text = StatusText(parts: ["step \(step)" + (steps.map { " of \($0)" } ?? "")] + parts)
        if let steps, steps > step, step > begun.steps {
            let pace = (status.elapsed - begun.time) / Double(step - begun.steps)
            text.left = Double(steps - step) * pace
        }
        let isDue = steps.map { $0 == step || step % max($0 / Self.lines, 1) == 0 } ?? false
        guard isDue else { return status.update { text } }
        let left = text.left.map { "; \(clock($0)) left" } ?? ""
        status.say("\(text.parts[0]): \(text.parts.dropFirst().joined(separator: ", "))\(left)")
        sums = (0, 0, 0, 0)
    }
}
