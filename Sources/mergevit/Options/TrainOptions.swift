import ArgumentParser
import Compute
import Datasets
import Labelling
import Training
import VisionTransformers
import Workflows

/// The options of `train` about the images.
struct TrainDataOptions: ParsableArguments {
    @Option(
        help: """
            Labelled images: DIR/{train,val}/<class>/..., DIR/<class>/..., or a CSV or TSV with the columns path and label, or \
            one that label wrote.
            """)
    var data: String

    @OptionGroup var reading: LabelledReadingOptions

    @Flag(
        name: .customLong("multi-label"),
        help: """
            An image may have any number of labels: the data are a table whose label cells hold labels joined by |, or \
            nothing. Trains a sigmoid for each label by binary cross entropy.
            """)
    var isMultiLabel = false

    @Option(help: "With --multi-label: what stands between the labels of a cell (default: |).")
    var labelSeparator: String?

    @Option(help: "Validation images: DIR/<class>/..., or a CSV or TSV.")
    var valData: String?

    @Option(help: "The part of each class that is held back for validation, if there are no others (default: 0.1).")
    var valFraction: Double?

    @Option(help: "Random changes of training images: none, crop, flip or crop+flip (default: all that there are).")
    var augment: Augment?

    @Option(help: "The smallest part of the area that a crop keeps.")
    var cropArea = Augmentation.usualSmallestArea

    @Option(help: "The most memory for decoded training images, in MiB.")
    var imageMemory = 4096

    @Flag(help: "Stop at an image that cannot be used, instead of leaving it out.")
    var strict = false

    /// Random changes of images.
    enum Augment: String, ExpressibleByArgument, CaseIterable {
        case none
        case crop
        case flip
        case both = "crop+flip"

        var crops: Bool { self == .crop || self == .both }
        var flips: Bool { self == .flip || self == .both }
    }

    func validate() throws {
        if let valFraction, !(valFraction >= 0 && valFraction < 1) {
            throw ValidationError("--val-fraction must be from 0 to below 1, not \(valFraction).")
        }
        guard valData == nil || valFraction == nil else {
            throw ValidationError("--val-data has the validation images, --val-fraction holds some back: give one.")
        }
        if let labelSeparator {
            guard isMultiLabel else { throw ValidationError("--label-separator needs --multi-label.") }
            try SeparatorArgument.check(labelSeparator)
        }
        guard cropArea > 0, cropArea <= 1 else {
            throw ValidationError("--crop-area must be above 0 and at most 1, not \(cropArea).")
        }
        guard (1...1 << 24).contains(imageMemory) else {
            throw ValidationError("--image-memory must be from 1 to \(1 << 24), not \(imageMemory).")
        }
    }

    /// Lists the images.
    func list(_ task: String, seed: UInt64) throws -> TrainingData {
        let validation: TrainingData.Validation =
            if let valData { .data(RawArguments.path(valData)) } else if let valFraction {
                .fraction(valFraction)
            } else { .usual }
        let path = RawArguments.path(data)
        let reading = reading.reading(task)
        guard isMultiLabel else { return try TrainingData(path, validation: validation, reading, seed: seed) }
        return try TrainingData(
            multiLabel: path, separator: labelSeparator ?? MultiLabelImages.usualSeparator, validation: validation,
            reading, seed: seed)
    }

    /// A warning about data whose labels seem to be several each, though each counts as one; nil for others.
    func warning(of data: TrainingData) -> String? {
        let separator = MultiLabelImages.usualSeparator
        guard data.labels == nil else { return nil }
        let labels = (data.training + data.validation).map { data.classes[$0.class] }
        guard MultiLabelImages.areJoined(labels, by: separator) else { return nil }
        let joined = labels.count { $0.contains(separator) }
        return
            "\(data.source): \(joined) of \(labels.count) labels contain \"\(separator)\" and are taken as one class "
            + "each; --multi-label trains a head that gives an image several labels"
    }

    /// Whether crops are named.
    var asksForCrops: Bool { augment?.crops ?? false }

    /// How training images change.
    func augmentation(_ usual: Augmentation) -> Augmentation {
        Augmentation(
            crops: augment?.crops ?? usual.crops, flips: augment?.flips ?? usual.flips, smallestArea: cropArea)
    }
}

/// The options of `train` about what is trained.
struct TrainAdapterOptions: ParsableArguments {
    @Flag(help: "Train the head alone; the backbone's features are computed once.")
    var headOnly = false

    @Option(help: "LoRA's rank (default: 16).")
    var rank: Int?

    @Option(help: "LoRA's alpha; the update's scale is alpha / rank (default: the rank).")
    var alpha: Double?

    @Flag(help: "Scale by alpha / sqrt(rank) instead (rsLoRA).")
    var rslora = false

    @Option(help: "The part of an update's inputs that is dropped in training (default: 0).")
    var dropout: Double?

    @Option(
        help: """
            What is updated, separated by commas: query, key, value, output, fc1, fc2, gate, up, down; attention, mlp, \
            all-linear (default: query,value).
            """)
    var targets: String?

    @Option(help: "The layers, such as 0-5,8 (default: all).")
    var layers: String?

    @Option(
        help: """
            How the frozen backbone is computed, also for --head-only: f32 or bf16, which is about twice as fast on \
            processors that have instructions for it (default: f32).
            """)
    var precision: OperandType?

    @Option(name: .customLong("key-names"), help: "Whose names modules have (default: transformers5).")
    var names: MergeOutputOptions.Names?

    func validate() throws {
        let given: [(String, Bool)] = [
            ("--rank", rank != nil), ("--alpha", alpha != nil), ("--rslora", rslora), ("--dropout", dropout != nil),
            ("--targets", targets != nil), ("--layers", layers != nil),
            ("--key-names", names != nil),
        ]
        if headOnly, let first = given.first(where: \.1) {
            throw ValidationError("\(first.0) is about the adapter, of which --head-only trains none.")
        }
        if let rank, !(1...65536).contains(rank) {
            throw ValidationError("--rank must be from 1 to 65536, not \(rank).")
        }
        if let alpha, !(alpha.isFinite && alpha > 0) { throw ValidationError("--alpha must be above 0, not \(alpha).") }
        if let dropout, !(dropout >= 0 && dropout < 1) {
            throw ValidationError("--dropout must be from 0 to below 1, not \(dropout).")
        }
        do { _ = try lora } catch let error as ModelError { throw ValidationError("\(error)") }
    }

    /// The updates; nil for the head alone.
    var lora: TrainingJob.LoRA? {
        get throws {
            guard !headOnly else { return nil }
            var lora = try TrainingJob.LoRA(targets: targets ?? "query,value", layers: layers)
            lora.rank = rank ?? lora.rank
            lora.alpha = alpha
            lora.isRankStabilized = rslora
            lora.dropout = dropout ?? 0
            return lora
        }
    }
}

/// The options of `train` about how the run goes.
struct TrainRunOptions: ParsableArguments {
    @Option(help: "How often every training image is seen (default: 12; with --head-only 120).")
    var epochs: Int?

    @Option(help: "Images of one optimiser step.")
    var batchSize = 64

    @Option(help: "The largest learning rate (default: 0.003; with --head-only 0.01).")
    var lr: Double?

    @Option(help: "AdamW's weight decay (default: 0.01; with --head-only 0.1).")
    var weightDecay: Double?

    @Option(help: "The part of all steps in which the learning rate rises.")
    var warmup = 0.05

    @Option(help: "How the learning rate goes on: cosine or constant.")
    var schedule = LearningRateSchedule.Shape.cosine

    @Option(
        help: """
            How much of the target is spread over all classes (default: 0.05; with --head-only 0.4; with --multi-label \
            0).
            """)
    var labelSmoothing: Double?

    @Option(help: "What initial values, order, augmentation and dropout are drawn from.")
    var seed: UInt64 = 0

    @Flag(
        help: """
            Weigh the loss so that every class counts the same, however many images it has; with --multi-label so that \
            a label's presence counts as much as its absence.
            """)
    var balance = false

    @Option(help: "The most optimiser steps.")
    var maxSteps: Int?

    @Option(help: "Stop after so many epochs without improvement on the validation images.")
    var earlyStop: Int?

    @Option(
        help: """
            Which epoch is written: the best on the validation images, or the last (default: best; with --head-only last, \
            unless --early-stop is given).
            """)
    var keep: KeptEpoch?

    func validate() throws {
        func check(_ option: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
            if let value, !range.contains(value) {
                throw ValidationError(
                    "\(option) must be from \(range.lowerBound) to \(range.upperBound), not \(value).")
            }
        }
        try check("--epochs", epochs, 1...1_000_000)
        try check("--batch-size", batchSize, 1...65536)
        try check("--max-steps", maxSteps, 1...1_000_000_000)
        try check("--early-stop", earlyStop, 1...1_000_000)
        if earlyStop != nil, keep == .last {
            throw ValidationError("--early-stop ends after the best epoch; --keep last does not go with it.")
        }
        if let lr, !(lr.isFinite && lr > 0) { throw ValidationError("--lr must be above 0, not \(lr).") }
        if let weightDecay, !(weightDecay.isFinite && weightDecay >= 0) {
            throw ValidationError("--weight-decay must be at least 0, not \(weightDecay).")
        }
        for (option, value) in [("--warmup", warmup), ("--label-smoothing", labelSmoothing ?? 0)]
        where !(value >= 0 && value <= 1) {
            throw ValidationError("\(option) must be from 0 to 1, not \(value).")
        }
    }

    /// Puts them in the place of a job's usual ones.
    func apply(to job: inout TrainingJob) {
        job.weightDecay = weightDecay ?? job.weightDecay
        job.labelSmoothing = labelSmoothing ?? job.labelSmoothing
        apply(to: &job.settings)
    }

    private func apply(to settings: inout RunSettings) {
        settings.epochs = epochs ?? settings.epochs
        settings.batchSize = batchSize
        settings.learningRate = lr ?? settings.learningRate
        settings.warmup = warmup
        settings.schedule = schedule
        settings.seed = seed
        settings.balances = balance
        settings.maximumSteps = maxSteps
        settings.patience = earlyStop
        settings.keeps = keep ?? (earlyStop == nil ? settings.keeps : .best)
    }
}

extension LearningRateSchedule.Shape: ExpressibleByArgument {}

extension KeptEpoch: ExpressibleByArgument {}

extension OperandType: ExpressibleByArgument {}
