public import Adapters
import Tensors

/// What is to be trained on what, how, and where the result goes.
public struct TrainingJob: Sendable {
    /// Low-rank updates of some modules.
    public struct LoRA: Sendable, Equatable {
        /// r.
        public var rank = 16
        /// α; without it r, so that the scale is 1, or √r when rank-stabilised.
        public var alpha: Double?
        /// Whether the scale is α/√r instead of α/r (rsLoRA, arXiv 2312.03732).
        public var isRankStabilized = false
        /// The part of the inputs of B·A that is dropped in training.
        public var dropout = 0.0
        /// The modules.
        public let targets: LoRATargets

        /// How the targets were named, for the record.
        let targetNames: String
        let layerNames: String?

        /// Updates of the modules that are named as `LoRATargets` has them.
        ///
        /// - Throws: `TrainingError` when they cannot be understood.
        public init(targets: String = "query,value", layers: String? = nil) throws(TrainingError) {
            self.targets = try LoRATargets(targets, layers: layers)
            (targetNames, layerNames) = (targets, layers)
        }
    }

    /// The Hugging Face folder of the base.
    public var base: String
    /// The labelled images.
    public var data: TrainingData
    /// The task's name.
    public var task: String
    /// The folder to write.
    public var output: String
    /// The updates of the backbone; nil trains the head alone.
    public var lora: LoRA?
    /// How the run goes.
    public var settings = RunSettings()
    /// AdamW's decoupled weight decay.
    public var weightDecay = 0.0
    /// How much of the target is spread over all classes.
    public var labelSmoothing = 0.05
    /// How training images change.
    public var augmentation = Augmentation(crops: true, flips: true)
    /// The most memory that decoded training images may take, in bytes.
    public var imageMemory = 4 << 30
    /// Whose names modules have in the adapter.
    public var names = ModuleNames.transformers5
    /// Whether an image that cannot be used ends the run.
    public var isStrict = false
    /// Whether an adapter that is there is replaced, and a checkpoint of another run given up.
    public var replaces = false
    /// Whether the run goes on from a checkpoint, if there is one.
    public var resumes = false
    /// Seconds after which a checkpoint is written within an epoch.
    public var checkpointSeconds = 60.0
    /// Steps after which one is written, or nil.
    public var checkpointSteps: Int?
    /// How many images are computed at the same time.
    public var threads = 1
    /// The version of the program, for the record.
    public var version = ""

    /// A job with the usual settings.
    public init(base: String, data: TrainingData, task: String, output: String, lora: LoRA?) {
        (self.base, self.data, self.task, self.output, self.lora) = (base, data, task, output, lora)
    }

    /// Everything that changes the result besides base and data, by the names of the options.
    var options: JSONObject {
        var options = settings.json
        options["weight_decay"] = .double(weightDecay)
        options["label_smoothing"] = .double(labelSmoothing)
        options["augment"] = .string(augmentation.name)
        options["crop_area"] = augmentation.crops ? .double(augmentation.smallestArea) : .null
        options["image_memory"] = augmentation.crops ? .int(imageMemory >> 20) : .null
        options["head_only"] = .bool(lora == nil)
        guard let lora else { return options }
        options["rank"] = .int(lora.rank)
        options["alpha"] = .double(lora.alpha ?? Double(lora.rank))
        options["rslora"] = .bool(lora.isRankStabilized)
        options["dropout"] = .double(lora.dropout)
        options["targets"] = .string(lora.targetNames)
        options["layers"] = lora.layerNames.map(JSON.string) ?? "all"
        return options
    }
}
