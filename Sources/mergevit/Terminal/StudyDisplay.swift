import Evaluation
import Files
import Logging
import Tensors
import Training
import Workflows

/// How a study goes: the status line, a line for every result that stays.
struct StudyDisplay {
    /// Files left out that are named for each task; of the others the number is told.
    private static let named = 10

    private let log: Logger
    private let isQuiet: Bool
    private let status: StatusLine
    /// Shows the stages of the work under way.
    let stages = StageDisplay()
    private var skipped: [String: Int] = [:]
    /// Seconds that image passes took, and when they began.
    private var begun: Double?
    private var left: String?
    private var training: (key: String, display: TrainDisplay)?

    init(_ log: Logger, isQuiet: Bool) {
        (self.log, self.isQuiet) = (log, isQuiet)
        status = StatusLine(log, isQuiet: isQuiet)
    }

    /// Shows an event.
    mutating func show(_ event: StudyEvent) {
        switch event {
        case .reading(let done, let total):
            if !isQuiet { stages.show([LongWork.Stage(name: "reading images", done: done, total: total)]) }
        case .skipped(let task, let path, let reason):
            skipped[task, default: 0] += 1
            if skipped[task, default: 0] <= Self.named { status.warn("\(task): left out \(path): \(reason)") }
        case .note(let warning): status.warn(description(of: warning))
        case .training(let task, let isHead, let event):
            let key = "\(task) \(isHead)"
            if training?.key != key {
                training?.display.finish()
                status.say("training \(isHead ? "a head" : "an adapter") for \(task)")
                training = (key, TrainDisplay(log, isQuiet: isQuiet, isHeadOnly: isHead))
            }
            training?.display.show(event)
        case .trained(let task, _, let kept, let output):
            training?.display.finish()
            training = nil
            status.say(TrainDisplay.summary(task, output, kept: kept, epochs: kept?.epoch ?? 0, skipped: 0))
        case .resumed(let done, let total): status.say("\(done) of \(total) results are there")
        case .working(let tasks, let method, let done, let left):
            let now = status.elapsed
            let first = begun ?? now
            begun = first
            let seconds = done > 0 && now > first ? left * (now - first) / done : nil
            self.left = seconds.map { "\(clock($0)) left" }
            let text = StatusText("\(method): \(tasks.joined(separator: "+"))", left: seconds)
            stages.setContext(text)
            status.update { text }
        case .result(let result, let done, let total):
            status.say(Self.text(result, done, total) + (left.map { "; \($0)" } ?? ""))
        }
    }

    /// Takes the status line away, and tells how many files were left out.
    mutating func finish() {
        status.clear()
        for (task, count) in skipped.sorted(by: { $0.key < $1.key }) where count > Self.named {
            status.warn("\(task): left out \(count - Self.named) more images")
        }
        skipped = [:]
    }

    private static func text(_ result: StudyResult, _ done: Int, _ total: Int) -> String {
        let parts = zip(result.tasks, result.masks).map { name, masks in
            "\(name) \(masks.accuracy.map { tenths(100 * $0.value) } ?? "-")"
        }
        let scale = result.variant.contains("+tune") ? " at scale \(result.scale)" : ""
        return "\(done) of \(total): \(result.variant)\(scale): \(parts.joined(separator: ", "))"
    }
}
