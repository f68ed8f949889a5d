import Labelling
import Training

/// How a distillation goes: a line of the terminal that is written over, and a line for every tenth of the steps.
struct DistillDisplay {
    /// Seconds between two updates of the terminal's line.
    private static let interval = 0.1
    /// Lines that stay.
    private static let lines = 10

    private let isQuiet: Bool
    private let isTerminal: Bool
    private let start = ContinuousClock.now
    private var shown = -Double.infinity
    private var hasLine = false
    /// When the steps of this process began, and how many had been taken before.
    private var begun: (time: Double, steps: Int)?
    /// Sums since the last line that stays.
    private var sums = (steps: 0, distance: 0.0, divergence: 0.0, sameLabel: 0.0)

    init(isQuiet: Bool) {
        self.isQuiet = isQuiet
        isTerminal = StandardStream.error.isTerminal
    }

    /// Shows an event.
    mutating func show(_ event: DistillationEvent) {
        switch event {
        case .resumed(let steps):
            begun = (elapsed, steps)
            say("going on after step \(steps)")
        case .step(let report): show(report)
        }
    }

    /// Takes the terminal's line away.
    mutating func finish() {
        if hasLine { StandardStream.error.write("\r\u{1B}[K") }
        hasLine = false
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
            let pace = (elapsed - begun.time) / Double(report.step - begun.steps)
            text += "; \(clock(Double(steps - report.step) * pace)) left"
        }
        let isDue = report.steps.map { $0 == report.step || report.step % max($0 / Self.lines, 1) == 0 } ?? false
        guard isDue else { return line(text) }
        say(text)
        sums = (0, 0, 0, 0)
    }

    /// Writes over the terminal's line.
    private mutating func line(_ text: String) {
        guard isTerminal, !isQuiet, elapsed - shown >= Self.interval else { return }
        shown = elapsed
        hasLine = true
        StandardStream.error.write("\r\(text)\u{1B}[K")
    }

    /// Writes a line that stays.
    private mutating func say(_ text: String) {
        guard !isQuiet else { return }
        StandardStream.error.write((hasLine ? "\r\u{1B}[K" : "") + text + "\n")
        hasLine = false
    }

    private var elapsed: Double {
        let parts = start.duration(to: .now).components
        return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    }
}
