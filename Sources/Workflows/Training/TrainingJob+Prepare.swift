import Adapters
import Compute
import Datasets
import Images
import Labelling
import Tensors
import Training
import VisionTransformers

extension TrainingJob {
    /// A run that is ready to start, with its record.
    struct Preparation {
        let run: TrainingRun
        let record: TrainingRecord
    }

    /// The decoded images of a run.
    private struct Pictures {
        let training: PictureStore
        let validation: PictureStore?
    }

    /// Reads the images and plans the classifier.
    ///
    /// - Parameter tell: receives events; an error that it throws ends the preparation.
    /// - Throws: `ModelError`, `FileError`, `ComputeError` naming the invalid input.
    func prepare(
        _ base: Checkpoint, _ adaptation: LowRankAdaptation?, _ tell: (TrainingEvent) throws -> Void
    ) throws -> Preparation {
        let preparer = PatchPreparer(
            try base.preprocessing(), configuration: base.configuration, decoding: DecodingOptions())
        let pool = try WorkerPool(workers: threads)
        let pictures = try read(preparer, pool, tell)
        let record = try TrainingRecord(
            self, base: base, training: pictures.training, validation: pictures.validation)
        let labels = try labels(of: pictures.training)
        let run =
            try adaptation.map { try adapterRun(base, $0, preparer, pictures, labels, pool) }
            ?? headRun(base, preparer, pictures, labels, pool, tell)
        return Preparation(run: run, record: record)
    }

    /// Decodes the images.
    ///
    /// - Throws: `ModelError` for an image that cannot be decoded if the job is strict, for a class without images, and
    ///   when the pictures exceed the memory limit.
    private func read(
        _ preparer: PatchPreparer, _ pool: WorkerPool, _ tell: (TrainingEvent) throws -> Void
    ) throws -> Pictures {
        let total = data.training.count + data.validation.count
        func store(_ items: [LabelledImages.Item], _ form: PictureStore.Form, after before: Int) throws -> PictureStore
        {
            let store = try PictureStore(items, preparer: preparer, form: form, pool: pool) {
                try tell(.reading(done: before + $0, of: total))
            }
            for (path, reason) in store.skipped {
                guard !isStrict else { throw ModelError("\(path)", reason) }
                try tell(.skipped(path: path, reason: reason))
            }
            return store
        }
        let share = imageMemory / max(data.training.count, 1)
        let training = try store(
            data.training, augmentation.crops ? .forCrops(augmentation, bytesPerPicture: share) : .prepared, after: 0)
        let bytes = training.pictures.reduce(0) { $0 + $1.pixels.count }
        guard bytes <= imageMemory else {
            throw ModelError(
                "\(data.source)",
                "\(training.pictures.count) training images take \(bytes >> 20) MiB, as small as the model takes them; "
                    + "the limit is \(imageMemory >> 20)",
                remedy: TrainingRemedy.raiseImageMemory)
        }
        let there = Set(training.classes).reduce(into: Set<Int>()) { $0.formUnion(data.shown(by: $1)) }
        if let empty = data.classes.indices.first(where: { !there.contains($0) }) {
            throw ModelError("\(data.source)", "no training image of \"\(data.classes[empty])\" can be used")
        }
        guard !data.validation.isEmpty else { return Pictures(training: training, validation: nil) }
        let validation = try store(data.validation, .prepared, after: data.training.count)
        guard !validation.pictures.isEmpty else {
            throw ModelError("\(data.source)", "none of the validation images can be used")
        }
        return Pictures(training: training, validation: validation)
    }

    /// The sets of labels, where an image may show several; with weights if the classes are balanced.
    ///
    /// - Throws: `ModelError` when a label to balance is on all images.
    private func labels(of training: PictureStore) throws(ModelError) -> LabelTargets? {
        guard var labels = data.labels, settings.balances else { return data.labels }
        let weights = labels.balance(training.classes, classes: data.classes.count)
        if let label = weights.firstIndex(of: 0) {
            throw ModelError(
                "\(data.source)",
                "every training image has the label \"\(data.classes[label])\", so that there is no image "
                    + "without it to balance it with",
                remedy: TrainingRemedy.omitBalancing)
        }
        labels.positiveWeights = weights
        return labels
    }

    /// A run of an adapter and a head.
    private func adapterRun(
        _ base: Checkpoint, _ adaptation: LowRankAdaptation, _ preparer: PatchPreparer, _ pictures: Pictures,
        _ labels: LabelTargets?, _ pool: WorkerPool
    ) throws -> TrainingRun {
        func examples(_ store: PictureStore, _ augmentation: Augmentation) -> PictureExamples {
            PictureExamples(store, preparer: preparer, augmentation: augmentation, seed: settings.seed)
        }
        let classifier = try AdapterTrainer(
            base, configuration: base.configuration, imageSize: preparer.imageSize, classes: data.classes.count,
            adaptation: adaptation, optimizer: AdamW(weightDecay: weightDecay), labels: labels,
            labelSmoothing: labelSmoothing, precision: precision, seed: settings.seed, threads: threads)
        return TrainingRun(
            classifier, training: examples(pictures.training, augmentation),
            validation: pictures.validation.map { examples($0, Augmentation()) }, labels: labels, settings: settings,
            pool: pool)
    }

    /// A run of a head alone, over precomputed features.
    private func headRun(
        _ base: Checkpoint, _ preparer: PatchPreparer, _ pictures: Pictures, _ labels: LabelTargets?,
        _ pool: WorkerPool, _ tell: (TrainingEvent) throws -> Void
    ) throws -> TrainingRun {
        let extractor = try FeatureExtractor(
            base, preparer: preparer, passes: PassSettings(threads: threads, precision: precision))
        let copies = augmentation.flips ? 2 : 1
        let total = pictures.training.pictures.count * copies + (pictures.validation?.pictures.count ?? 0)
        var before = 0
        func features(_ store: PictureStore, mirrored: Bool = false) throws -> FloatBuffer {
            defer { before += store.pictures.count }
            return try extractor.features(of: store.pictures, mirrored: mirrored, pool: pool) {
                try tell(.features(done: before + $0, of: total))
            }
        }
        func examples(_ store: PictureStore, mirrored: Bool) throws -> FeatureExamples {
            FeatureExamples(
                try features(store), mirrored: mirrored ? try features(store, mirrored: true) : nil,
                width: extractor.width, classes: store.classes, seed: settings.seed)
        }
        let classifier = try HeadTrainer(
            features: extractor.width, classes: data.classes.count, optimizer: AdamW(weightDecay: weightDecay),
            labels: labels, labelSmoothing: labelSmoothing, seed: settings.seed)
        return TrainingRun(
            classifier, training: try examples(pictures.training, mirrored: augmentation.flips),
            validation: try pictures.validation.map { try examples($0, mirrored: false) }, labels: labels,
            settings: settings, pool: pool)
    }
}
