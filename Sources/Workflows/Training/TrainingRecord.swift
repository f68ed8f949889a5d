import Adapters
import Compute
import Files
import Images
import Tensors
import Training
import VisionTransformers

/// Everything that the result of a run depends on, for checkpoints and `training.json`.
struct TrainingRecord {
    let job: TrainingJob
    /// The SHA-256 of each of the base's files.
    let base: JSON
    /// The implementation of resizing.
    let resize: ResizeBackend
    /// The preprocessing settings, if they are not the base's.
    let preprocessor: JSON?
    /// The SHA-256 of the class names, the sets of labels if any, and every file's class or set and SHA-256.
    let dataDigest: String
    /// The numbers of training, validation and skipped images.
    let images: (training: Int, validation: Int, skipped: Int)

    /// Computes the checksums of the base's files.
    ///
    /// - Throws: `FileError` when one cannot be read.
    init(_ job: TrainingJob, base: Checkpoint, training: PictureStore, validation: PictureStore?) throws {
        self.job = job
        self.base = try SHA256.json(ofFiles: Recipe.files(of: base))
        resize = try base.resizeBackend()
        preprocessor = base.preprocessor.source == .folder ? nil : try base.preprocessorFile().json
        let classes = JSON.array(job.data.classes.map(JSON.string)).serialized(indented: false)
        let sets = job.data.labels.map { "labels \($0.sets)\n" } ?? ""
        let text = "\(classes)\n\(sets)training\n\(training.fingerprint)validation\n\(validation?.fingerprint ?? "")"
        dataDigest = SHA256.text(ofUTF8: text)
        images = (
            training.pictures.count, validation?.pictures.count ?? 0,
            training.skipped.count + (validation?.skipped.count ?? 0)
        )
    }

    /// The settings that a checkpoint must agree with.
    var binding: JSONObject {
        var binding = options
        binding["task"] = .string(job.task)
        binding["data_sha256"] = .string(dataDigest)
        binding["base_sha256"] = base
        binding["version"] = .string(job.version)
        return binding
    }

    /// `training.json` of a finished run.
    func json(_ run: TrainingRun) -> JSON {
        var object: JSONObject = [
            "format": "mergevit-training", "format_version": .int(1), "version": .string(job.version),
            "task": .string(job.task),
        ]
        if job.data.labels != nil { object[ProblemType.key] = .string(ProblemType.multiLabel.rawValue) }
        let rest: JSONObject = [
            "base": .object(["path": .string(job.base), "sha256": base]),
            "data": .object([
                "path": .string("\(job.data.source)"), "classes": .int(job.data.classes.count),
                "training_images": .int(images.training), "validation_images": .int(images.validation),
                "skipped": .int(images.skipped), "sha256": .string(dataDigest),
            ]),
            "options": .object(options),
            "steps": .int(run.steps),
            "best_epoch": run.bestRecord.map { .int($0.epoch) } ?? .null,
            "kept_epoch": run.keptRecord.map { .int($0.epoch) } ?? .null,
            "curve": .array(run.records.map(\.json)),
        ]
        for (key, value) in rest.members { object[key] = value }
        return .object(object)
    }

    /// Everything that affects the result besides base and data, by option name.
    private var options: JSONObject {
        var options = job.settings.json
        options["weight_decay"] = .double(job.weightDecay)
        options["label_smoothing"] = .double(job.labelSmoothing)
        options["augment"] = .string(job.augmentation.name)
        options["crop_area"] = job.augmentation.crops ? .double(job.augmentation.smallestArea) : .null
        options["image_memory"] = job.augmentation.crops ? .int(job.imageMemory >> 20) : .null
        if resize != .pillow { options["resize"] = .string(resize.rawValue) }
        if let preprocessor { options["preprocessor"] = preprocessor }
        options["head_only"] = .bool(job.lora == nil)
        if job.data.labels != nil { options["multi_label"] = .bool(true) }
        guard let lora = job.lora else {
            // Older versions computed features in f32 and did not record it.
            if job.precision != .f32 { options["precision"] = .string(job.precision.rawValue) }
            return options
        }
        options["rank"] = .int(lora.rank)
        options["alpha"] = .double(lora.alpha ?? Double(lora.rank))
        options["rslora"] = .bool(lora.isRankStabilized)
        options["dropout"] = .double(lora.dropout)
        options["precision"] = .string(job.precision.rawValue)
        options["targets"] = .string(lora.targets.text)
        options["layers"] = lora.targets.layerText.map(JSON.string) ?? "all"
        return options
    }
}
