import Adapters
import Compute
import Files
import Images
import Tensors
import Training
import VisionTransformers

/// What a run is: everything that its result depends on. Checkpoints are bound to it, and `training.json` holds it.
struct TrainingRecord {
    let job: TrainingJob
    /// The SHA-256 of each of the base's files.
    let base: JSON
    /// Whose resize the images went through.
    let resize: ResizeBackend
    /// The preprocessing settings, if they are not the base's own.
    let preprocessor: JSON?
    /// The SHA-256 over the class names, the sets of labels if there are any, and every file's class or set and
    /// SHA-256.
    let dataDigest: String
    /// Images that are trained on, looked at after each epoch, and left out.
    let images: (training: Int, validation: Int, skipped: Int)

    /// Reads the base's files for their checksums.
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

    /// What a checkpoint must agree with.
    var binding: JSONObject {
        var binding = options
        binding["task"] = .string(job.task)
        binding["data_sha256"] = .string(dataDigest)
        binding["base_sha256"] = base
        binding["version"] = .string(job.version)
        return binding
    }

    /// What `training.json` says of a run that is over.
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

    /// Everything that changes the result besides base and data, by the names of the options.
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
            // Features were f32 before there was a choice.
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
