import Labelling
import Training

/// How a distillation goes: a line of the terminal that is written over, and a line for every tenth of the steps.
struct DistillDisplay {
    /// Lines that stay.
    private static let lines = 10

    private var status: StatusLine
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
            status.say("going on after step \(steps)")
        case .step(let report): show(report)
        }
    }

    /// Takes the terminal's line away.
    mutating func finish() {
        status.clear()
    }

    private mutating func show(_ report: DistillationReport) {
        let begun = begun ?? (0, 0)
        self.begun = begun
        sums.steps += 1
        sums.distance += report.distance
        sums.divergence += report.divergence
        sums.sameLabel += report.sameLabel
        let count = Double(sums.steps)
        var text = "step \(report.step)" + (report.steps.map { " of \($0)" } ?? "")
        text += ": features \(thousandths(sums.distance / count)) of their variance away"
        text += ", answers \(thousandths(sums.divergence / count)) nats"
        text += ", \(tenths(100 * sums.sameLabel / count)) % of labels the same"
        if let steps = report.steps, steps > report.step, report.step > begun.steps {
            let pace = (status.elapsed - begun.time) / Double(report.step - begun.steps)
            text += "; \(clock(Double(steps - report.step) * pace)) left"
        }
        let isDue = report.steps.map { $0 == report.step || report.step % max($0 / Self.lines, 1) == 0 } ?? false
        guard isDue else { return status.update(text) }
        status.say(text)
        sums = (0, 0, 0, 0)
    }
}
