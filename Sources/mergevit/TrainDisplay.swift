import Labelling
import Logging
import Training

/// How a training run goes: a line of the terminal that is written over, a line for every epoch, a sentence at the end.
struct TrainDisplay {
    /// Files left out that are named; of the others the number is told.
    private static let named = 10

    private var status: StatusLine
    private let right: String
    private var skipped = 0
    /// When the steps of this process began, and how many had been taken before.
    private var begun: (time: Double, steps: Int)?
    private var before = 0
    /// Images of the epoch under way, and when it began.
    private var epoch = (images: 0, time: 0.0)
    private var last: StepReport?

    init(_ log: Logger, isQuiet: Bool, isMultiLabel: Bool = false) {
        status = StatusLine(log, isQuiet: isQuiet)
        right = isMultiLabel ? "exact match" : "accuracy"
    }

    /// Shows an event.
    mutating func show(_ event: TrainingEvent) {
        switch event {
        case .reading(let done, let total): status.update("reading images: \(done) of \(total)", isLast: done == total)
        case .features(let done, let total):
            status.update("computing features: \(done) of \(total)", isLast: done == total)
        case .skipped(let path, let reason):
            skipped += 1
            if skipped <= Self.named { status.warn("left out \(path): \(reason)") }
        case .resumed(let steps):
            before = steps
            status.say("going on after step \(steps)")
        case .step(let report): show(report)
        case .epoch(let record, let isBest): show(record, isBest)
        }
    }

    /// Takes the terminal's line away.
    mutating func finish() {
        status.clear()
        if skipped > Self.named { status.warn("left out \(skipped - Self.named) more images") }
        skipped = 0
    }

    /// The sentence at the end.
    static func summary(_ task: String, _ output: String, kept: EpochRecord?, epochs: Int, skipped: Int) -> String {
        var text = "trained \(task) into \(output)"
        if let kept {
            let accuracy =
                kept.validationMeanAveragePrecision.map { "mAP \(tenths(100 * $0)) % on the validation images" }
                ?? kept.validationAccuracy.map { "\(tenths(100 * $0)) % of the validation images right" }
            text += ": epoch \(kept.epoch) of \(epochs)" + (accuracy.map { ", \($0)" } ?? "")
        }
        if skipped > 0 { text += "; \(skipped) image\(skipped == 1 ? "" : "s") left out" }
        return text + "\n"
    }

    private mutating func show(_ report: StepReport) {
        let now = status.elapsed
        if last?.epoch != report.epoch { epoch = (0, begun == nil ? now : epoch.time) }
        if begun == nil { begun = (now, report.step) }
        epoch.images += report.images
        last = report
        let text =
            "epoch \(report.epoch) of \(report.epochs), step \(report.step) of \(report.steps): loss "
            + "\(thousandths(report.epochLoss)), \(right) \(tenths(100 * report.epochAccuracy)) %"
            + pace(now, report, finished: false)
        status.update(text)
    }

    private mutating func show(_ record: EpochRecord, _ isBest: Bool) {
        let now = status.elapsed
        var text =
            "epoch \(record.epoch): loss \(thousandths(record.loss)), \(right) \(tenths(100 * record.accuracy)) %"
        if let loss = record.validationLoss, let accuracy = record.validationAccuracy {
            let precision = record.validationMeanAveragePrecision.map { "mAP \(tenths(100 * $0)) %" }
            text += "; validation \(thousandths(loss)), \(precision ?? "\(tenths(100 * accuracy)) %")"
            if isBest { text += ", the best so far" }
        }
        if let last { text += pace(now, last, finished: true) }
        epoch = (0, now)
        status.say(text)
    }

    /// Images a second in this epoch, and the time left by the steps of this process.
    private func pace(_ now: Double, _ report: StepReport, finished: Bool) -> String {
        var text = ""
        if now > epoch.time, epoch.images > 0, finished || epoch.images > report.images {
            text += "; \(rate(epoch.images, now - epoch.time)) images/s"
        }
        if let begun, report.step > begun.steps, report.step < report.steps {
            let left = Double(report.steps - report.step) * (now - begun.time) / Double(report.step - begun.steps)
            text += ", \(clock(left)) left"
        }
        return text
    }
}
