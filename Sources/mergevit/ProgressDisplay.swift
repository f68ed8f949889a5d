import Glibc
import Labelling

/// How far the command has come, on a line of the terminal that is written over, and in a sentence at the end.
struct ProgressDisplay {
    private let counter: InputCounter?
    private var status: StatusLine

    /// A display; one that is not shown writes nothing and counts no inputs.
    init(_ source: InputSource, isShown: Bool) {
        counter = isShown ? InputCounter(source) : nil
        status = StatusLine(isQuiet: !isShown, isUpdated: isShown)
    }

    /// Shows where the run is, unless that was shown a moment ago.
    mutating func update(_ progress: LabellingProgress) {
        guard let counter else { return }
        let seconds = status.elapsed
        status.update(Self.line(progress, total: progress.total ?? counter.total, seconds: seconds))
    }

    /// Takes the line away and stops counting.
    mutating func finish() {
        counter?.stop()
        status.clear()
    }

    /// The sentence at the end.
    func summary(_ result: LabellingProgress, verb: String = "labelled") -> String {
        let seconds = status.elapsed
        var text = "\(verb) \(result.done - result.failed) of \(result.done) image\(result.done == 1 ? "" : "s")"
        if result.resumed > 0 { text += ", \(result.resumed) of them earlier," }
        text += " in \(tenths(seconds)) s (\(rate(result.done - result.resumed, seconds)) images/s)"
        if result.failed > 0 { text += "; \(result.failed) failed" }
        if result.belowThreshold > 0 { text += "; \(result.belowThreshold) below the threshold" }
        return text + "\n"
    }

    private static func line(_ progress: LabellingProgress, total: Int?, seconds: Double) -> String {
        var text = "\(progress.done)"
        let done = progress.done - progress.resumed
        if let total, total >= progress.done { text += " of \(total)" }
        text += " images, \(rate(done, seconds)) images/s"
        if progress.failed > 0 { text += ", \(progress.failed) failed" }
        if let total, total > progress.done, done > 0 {
            text += ", \(clock(Double(total - progress.done) * seconds / Double(done))) left"
        }
        return text
    }
}
