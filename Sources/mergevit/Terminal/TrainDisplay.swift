import Logging
import Training

/// How a training run goes: the status line, a line for every epoch, a sentence at the end.
struct TrainDisplay {
    /// Files left out that are named; of the others the number is told.
    private static let named = 10
    /// Lines for the epochs of a head alone, which take no time worth a line each.
    private static let headLines = 10

    private let status: StatusLine
    private let isHeadOnly: Bool
    private let right: String
    private var skipped = 0
    /// The number of images of each class, as long as it is not said.
    private var counts: String?
    /// The stage of reading or of features: when it began, and how many were done.
    private var stage: (total: Int, begun: Double, done: Int)?
    /// When the steps of this process began, and how many had been taken before.
    private var begun: (time: Double, steps: Int)?
    /// Images of the epoch under way, and when it began.
    private var epoch = (images: 0, time: 0.0)
    private var last: StepReport?
    /// The last epoch, and whether it was the best so far, as long as it has no line.
    private var unsaid: (record: EpochRecord, isBest: Bool)?

    /// - Parameters:
    ///   - isHeadOnly: whether a head alone is trained.
    ///   - isMultiLabel: whether images have several labels.
    ///   - counts: the number of images of each class, to be said before the first step.
    init(_ log: Logger, isQuiet: Bool, isHeadOnly: Bool, isMultiLabel: Bool = false, counts: String? = nil) {
        self.counts = counts
        status = StatusLine(log, isQuiet: isQuiet)
        self.isHeadOnly = isHeadOnly
        right = isMultiLabel ? "exact match" : "accuracy"
    }

    /// Shows an event.
    mutating func show(_ event: TrainingEvent) {
        switch event {
        case .reading(let done, let total): show("reading images", done, of: total)
        case .features(let done, let total):
            sayCounts()
            show("computing features", done, of: total)
        case .skipped(let path, let reason):
            skipped += 1
            if skipped <= Self.named { status.warn("left out \(path): \(reason)") }
        case .resumed(let steps): status.say("resuming after step \(steps)")
        case .step(let report):
            sayCounts()
            show(report)
        case .epoch(let record, let isBest): show(record, isBest)
        }
    }

    /// Takes the status line away; of a head alone, the last epoch gets its line.
    mutating func finish() {
        if let (record, isBest) = unsaid { say(record, isBest) }
        status.clear()
        if skipped > Self.named { status.warn("left out \(skipped - Self.named) more images") }
        skipped = 0
    }

    private mutating func sayCounts() {
        if let counts { status.say(counts) }
        counts = nil
    }

    /// Classes that are named with their numbers of images, at each end of the order.
    private static let namedClasses = 5

    /// The numbers of images: "training on 223 images of 3 classes: roses 180, daisy 36, tulips 7; 25 for validation".
    static func text(_ counts: ClassCounts, of data: TrainingData) -> String {
        let (order, what) = (counts.order, data.labels == nil ? "classes" : "labels")
        let all = order.map { "\(counts.classes[$0]) \(counts.images[$0])" }
        let (first, last) = (all.prefix(namedClasses), all.suffix(namedClasses))
        let named = all.count > 2 * namedClasses ? first + ["..."] + last : all[...]
        let validation = data.validation.isEmpty ? "none" : "\(data.validation.count)"
        return "training on \(data.training.count) images of \(all.count) \(what): "
            + "\(named.joined(separator: ", ")); \(validation) for validation"
    }

    /// A warning of classes that have much fewer images than others; nil if there are none.
    static func warning(_ counts: ClassCounts) -> String? {
        guard let (largest, smallest) = counts.unbalanced else { return nil }
        func name(_ index: Int) -> String { "\(counts.classes[index]) (\(counts.images[index]))" }
        return "the classes are unbalanced, from \(name(largest)) to \(name(smallest)) images, so the accuracy says "
            + "little of the rare ones; --balance makes every class count the same, also when the best epoch is chosen"
    }

    /// The sentence at the end.
    ///
    /// - Parameter classes: the names of the classes, if the one that is recognized least is to be named.
    static func summary(
        _ task: String, _ output: String, kept: EpochRecord?, epochs: Int, skipped: Int, classes: [String] = []
    ) -> String {
        var text = "trained \(task) into \(output)"
        if let kept {
            let accuracy =
                kept.validationMeanAveragePrecision.map { "mAP \(tenths(100 * $0)) % on the validation images" }
                ?? kept.validationAccuracy.map { "\(tenths(100 * $0)) % of the validation images right" }
            text += ": epoch \(kept.epoch) of \(epochs)" + (accuracy.map { ", \($0)" } ?? "")
            if let balanced = kept.validationBalancedAccuracy, kept.validationMeanAveragePrecision == nil {
                text += ", balanced accuracy \(tenths(100 * balanced)) %"
            }
            if let least = kept.leastRecalled, least.correct < least.images, classes.indices.contains(least.index) {
                text += ", least of \(classes[least.index]): \(least.correct) of \(least.images)"
            }
        }
        if skipped > 0 { text += "; \(skipped) image\(skipped == 1 ? "" : "s") left out" }
        return text
    }

    private mutating func show(_ name: String, _ done: Int, of total: Int) {
        let now = status.elapsed
        let isNew = stage?.total != total || done < stage?.done ?? 0
        let begun = isNew ? now : stage?.begun ?? now
        stage = (total, begun, done)
        let left = StageDisplay.left(now - begun, from: 0, to: Double(done) / Double(max(total, 1)))
        status.update(isNew: isNew) { StatusText("\(name): \(done) of \(total)", left: left) }
    }

    private mutating func show(_ report: StepReport) {
        let now = status.elapsed
        let isFirst = begun == nil
        if last?.epoch != report.epoch { epoch = (0, isFirst ? now : epoch.time) }
        if isFirst { begun = (now, report.step) }
        epoch.images += report.images
        last = report
        status.update(isNew: isFirst) {
            var text = StatusText(
                "step \(report.step) of \(report.steps)", "epoch \(report.epoch) of \(report.epochs)",
                "loss \(thousandths(report.epochLoss))", "\(right) \(tenths(100 * report.epochAccuracy)) %",
                left: left(now, report))
            if epoch.images > report.images, let pace = pace(now) { text.parts.append(pace) }
            return text
        }
    }

    private mutating func show(_ record: EpochRecord, _ isBest: Bool) {
        unsaid = (record, isBest)
        if isHeadOnly, let last, record.epoch % max(last.epochs / Self.headLines, 1) != 0 { return }
        say(record, isBest)
    }

    private mutating func say(_ record: EpochRecord, _ isBest: Bool) {
        let now = status.elapsed
        var text =
            "epoch \(record.epoch): loss \(thousandths(record.loss)), \(right) \(tenths(100 * record.accuracy)) %"
        if let loss = record.validationLoss, let accuracy = record.validationAccuracy {
            let precision = record.validationMeanAveragePrecision.map { "mAP \(tenths(100 * $0)) %" }
            text += "; validation \(thousandths(loss)), \(precision ?? "\(tenths(100 * accuracy)) %")"
            if let balanced = record.validationBalancedAccuracy, precision == nil,
                tenths(100 * balanced) != tenths(100 * accuracy)
            {
                text += " (balanced \(tenths(100 * balanced)) %)"
            }
            if isBest { text += ", the best so far" }
        }
        if let last, !isHeadOnly {
            if let pace = pace(now) { text += "; \(pace)" }
            if let left = left(now, last) { text += ", \(clock(left)) left" }
        }
        epoch = (0, now)
        unsaid = nil
        status.say(text)
    }

    /// Images a second in this epoch; nil for a head alone, whose images were computed before.
    private func pace(_ now: Double) -> String? {
        guard !isHeadOnly, now > epoch.time, epoch.images > 0 else { return nil }
        return "\(rate(epoch.images, now - epoch.time)) images/s"
    }

    /// Seconds left, by the steps of this process.
    private func left(_ now: Double, _ report: StepReport) -> Double? {
        guard let begun, report.step > begun.steps, report.step < report.steps else { return nil }
        return Double(report.steps - report.step) * (now - begun.time) / Double(report.step - begun.steps)
    }
}
