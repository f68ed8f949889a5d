import ArgumentParser
import Compute
import Datasets
import Files
import Training
import VisionTransformers
import Workflows

/// The images of `train`.
struct TrainDataOptions: ParsableArguments {
    @OptionGroup var reading: LabelledReadingOptions

    @Flag(
        name: .customLong("multi-label"),
        help: """
            An image may have any number of labels: DATA is a table whose label cells hold labels joined by |, or \
            nothing. Trains a sigmoid per label with binary cross entropy.
            """)
    var isMultiLabel = false

    @Option(help: .init("TEXT", "Separator of the labels in a cell, with --multi-label (default: |)."))
    var labelSeparator: SeparatorArgument?

    @Option(help: .init("DATA", "Validation images: DIR/<class>/..., or a CSV or TSV."))
    var valData: PathArgument?

    @Option(help: .init("P", "Share of each class held out for validation, if there are no others (default: 0.1)."))
    var valFraction: Double?

    @Option(help: .init("CHANGES", "Random changes of training images (default: all that apply)."))
    var augment: Augment?

    @Option(help: .init("P", "Smallest share of the area that a random crop keeps."))
    var cropArea = Augmentation.usualSmallestArea

    @OptionGroup var memory: ImageMemoryOption

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
        guard labelSeparator == nil || isMultiLabel else {
            throw ValidationError("--label-separator needs --multi-label.")
        }
        guard cropArea > 0, cropArea <= 1 else {
            throw ValidationError("--crop-area must be above 0 and at most 1, not \(cropArea).")
        }
    }

    /// Lists the images of a folder or table.
    func list(_ path: BytePath, _ task: String, seed: UInt64) throws -> TrainingData {
        let validation: TrainingData.Validation =
            if let valData { .data(valData.path) } else if let valFraction {
                .fraction(valFraction)
            } else { .usual }
        let reading = reading.reading(task)
        guard isMultiLabel else { return try TrainingData(path, validation: validation, reading, seed: seed) }
        return try TrainingData(
            multiLabel: path, separator: labelSeparator?.text ?? MultiLabelImages.usualSeparator,
            validation: validation,
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

/// What `train` trains.
struct TrainAdapterOptions: ParsableArguments {
    @Flag(help: "Train only the head; the backbone's features are computed once.")
    var headOnly = false

    @Option(help: .init("N", "Rank of LoRA (default: 16)."))
    var rank: Int?

    @Option(help: .init("A", "Alpha of LoRA; the update is scaled by alpha / rank (default: the rank)."))
    var alpha: Double?

    @Flag(help: "Scale by alpha / sqrt(rank) instead (rsLoRA).")
    var rslora = false

    @Option(help: .init("P", "Share of an update's inputs that is dropped in training (default: 0)."))
    var dropout: Double?

    @Option(
        help: .init(
            "LIST",
            """
            Modules to adapt, separated by commas: query, key, value, output, fc1, fc2, gate, up, down; attention, \
            mlp, all-linear (default: query,value).
            """))
    var targets: TextArgument?

    @Option(help: .init("LIST", "Layers to adapt, as in 0-5,8 (default: all)."))
    var layers: TextArgument?

    @Option(
        help: .init(
            "PRECISION",
            """
            Number format of the frozen backbone, also for --head-only; bf16 is about twice as fast on processors that \
            have instructions for it (default: f32).
            """))
    var precision: OperandType?

    @Option(name: .customLong("key-names"), help: .init("LIBRARY", "Module names to use (default: transformers5)."))
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
        try check("--rank", rank, in: 1...65536)
        if let alpha, !(alpha.isFinite && alpha > 0) { throw ValidationError("--alpha must be above 0, not \(alpha).") }
        if let dropout, !(dropout >= 0 && dropout < 1) {
            throw ValidationError("--dropout must be from 0 to below 1, not \(dropout).")
        }
        do { _ = try lora } catch { throw ValidationError(description(of: error)) }
    }

    /// The updates; nil for the head alone.
    var lora: TrainingJob.LoRA? {
        get throws {
            guard !headOnly else { return nil }
            var lora = try TrainingJob.LoRA(targets: targets?.text ?? "query,value", layers: layers?.text)
            lora.rank = rank ?? lora.rank
            lora.alpha = alpha
            lora.isRankStabilized = rslora
            lora.dropout = dropout ?? 0
            return lora
        }
    }
}

/// How a training run goes.
struct TrainRunOptions: ParsableArguments {
    @Option(help: .init("N", "Number of passes over the training images (default: 12; with --head-only 120)."))
    var epochs: Int?

    @Option(help: .init("N", "Number of images per optimiser step."))
    var batchSize = 64

    @Option(help: .init("RATE", "Largest learning rate (default: 0.003; with --head-only 0.01)."))
    var lr: Double?

    @Option(help: .init("DECAY", "Weight decay of AdamW (default: 0.01; with --head-only 0.1)."))
    var weightDecay: Double?

    @Option(help: .init("P", "Share of all steps in which the learning rate rises."))
    var warmup = 0.05

    @Option(help: .init("SHAPE", "Learning rate after the warm-up."))
    var schedule = LearningRateSchedule.Shape.cosine

    @Option(
        help: .init(
            "P",
            "Share of the target spread over all classes (default: 0.05; with --head-only 0.4; with --multi-label 0)."))
    var labelSmoothing: Double?

    @Flag(
        help: """
            Weight the loss so that every class counts the same, however many images it has, and choose the epoch by \
            balanced accuracy; with --multi-label, the presence of a label counts as much as its absence.
            """)
    var balance = false

    @Option(help: .init("N", "Stop after this many optimiser steps."))
    var maxSteps: Int?

    @Option(help: .init("N", "Stop after N epochs without improvement on the validation images."))
    var earlyStop: Int?

    @Option(
        help: .init(
            "EPOCH",
            """
            Write the epoch that is best on the validation images, or the last (default: best; with --head-only last, \
            unless --early-stop is given).
            """))
    var keep: EpochChoice?

    @Option(help: .init("N", "Seed of initial values, order, augmentation and dropout."))
    var seed: UInt64 = 0

    func validate() throws {
        try check("--epochs", epochs, in: 1...1_000_000)
        try check("--batch-size", batchSize, in: 1...65536)
        try check("--max-steps", maxSteps, in: 1...1_000_000_000)
        try check("--early-stop", earlyStop, in: 1...1_000_000)
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

    /// Replaces a job's defaults.
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

extension EpochChoice: ExpressibleByArgument {}

extension OperandType: ExpressibleByArgument {}
