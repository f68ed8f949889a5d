import Labelling
import Training

/// How a distillation goes: the status line, and a line for every tenth of the steps.
struct DistillDisplay {
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
        case .step(let report): show(report)
        }
    }

    /// Takes the status line away.
    func finish() {
        status.clear()
    }

    private mutating func show(_ report: DistillationReport) {
        // The first step comes after the single adapters have answered for the steps up to the next round.
        let begun = begun ?? (status.elapsed, report.step)
        self.begun = begun
        sums.steps += 1
        sums.distance += report.distance
        sums.divergence += report.divergence
        sums.sameLabel += report.sameLabel
        let count = Double(sums.steps)
        var text = StatusText(
            "step \(report.step)" + (report.steps.map { " of \($0)" } ?? ""),
            "features \(thousandths(sums.distance / count)) of their variance away",
            "answers \(thousandths(sums.divergence / count)) nats",
            "\(tenths(100 * sums.sameLabel / count)) % of labels the same")
        if let steps = report.steps, steps > report.step, report.step > begun.steps {
            let pace = (status.elapsed - begun.time) / Double(report.step - begun.steps)
            text.left = Double(steps - report.step) * pace
        }
        let isDue = report.steps.map { $0 == report.step || report.step % max($0 / Self.lines, 1) == 0 } ?? false
        guard isDue else { return status.update { text } }
        let left = text.left.map { "; \(clock($0)) left" } ?? ""
        status.say("\(text.parts[0]): \(text.parts.dropFirst().joined(separator: ", "))\(left)")
        sums = (0, 0, 0, 0)
    }
}
