import Datasets
import Glibc
import Labelling

/// How far the command has come through its inputs, on the status line, and in a sentence at the end.
struct ProgressDisplay {
    private let source: InputSource
    private let isShown: Bool
    private let status: StatusLine
    /// Begins to count when the status line is first shown: short runs, and those without a reader, need no total.
    private var counter: InputCounter?

    /// A display; one that is not shown writes nothing and counts no inputs.
    init(_ source: InputSource, isShown: Bool) {
        (self.source, self.isShown) = (source, isShown)
        status = StatusLine(isQuiet: !isShown)
    }

    /// Shows where the run is, unless that was shown a moment ago.
    mutating func update(_ progress: LabellingProgress) {
        var counter = counter
        status.update(isNew: counter == nil) {
            let found = counter ?? InputCounter(source)
            counter = found
            return Self.line(progress, total: progress.total ?? found.total, seconds: status.elapsed)
        }
        self.counter = counter
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
        if result.reused > 0 { text += ", \(result.reused) of them unchanged," }
        text += " in \(tenths(seconds)) s (\(rate(result.done - result.resumed, seconds)) images/s)"
        if result.failed > 0 { text += "; \(result.failed) failed" }
        if result.belowThreshold > 0 { text += "; \(result.belowThreshold) below the threshold" }
        return text + "\n"
    }

    private static func line(_ progress: LabellingProgress, total: Int?, seconds: Double) -> StatusText {
        let done = progress.done - progress.resumed
        var count = "\(progress.done)"
        if let total, total >= progress.done { count += " of \(total)" }
        var text = StatusText("\(count) images", "\(rate(done, seconds)) images/s")
        if progress.failed > 0 { text.parts.append("\(progress.failed) failed") }
        if let total, total > progress.done, done > 0 {
            text.left = Double(total - progress.done) * seconds / Double(done)
        }
        return text
    }
}

/// What is said of inputs that have no labels.
enum FailureText {
    /// "9 of 2000 inputs have no label: 7 in other formats, 2 damaged; the first: in/b/pic.heic: ...".
    ///
    /// - Parameter hasEndings: whether files are left out by their endings already.
    static func sentence(_ result: LabellingProgress, hasEndings: Bool) -> String {
        let kinds = InputFailure.Kind.allCases.compactMap { kind in
            result.failures.kinds[kind].flatMap { $0 > 0 ? "\($0) \(words(for: kind))" : nil }
        }
        var text = "\(result.failed) of \(result.done) inputs \(result.failed == 1 ? "has" : "have") no label"
        if !kinds.isEmpty { text += ": \(kinds.joined(separator: ", "))" }
        if let first = result.failures.first { text += "; the first: \(first.path): \(first.reason)" }
        if !hasEndings, (result.failures.kinds[.otherFormat] ?? 0) > 0 {
            text += " (--endings jpg,jpeg,png leaves other files of folders and archives out)"
        }
        return text
    }

    private static func words(for kind: InputFailure.Kind) -> String {
        switch kind {
        case .missing: "not there"
        case .unreadable: "not readable"
        case .empty: "empty"
        case .otherFormat: "in other formats"
        case .damaged: "damaged"
        case .unsupported: "not supported"
        case .tooLarge: "too large"
        case .wrongSize: "of another size than the model takes"
        case .notFinite: "without a finite answer"
        case .other: "for other reasons"
        }
    }
}
