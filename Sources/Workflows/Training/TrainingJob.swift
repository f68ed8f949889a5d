package import Adapters
package import Compute
package import Training
package import VisionTransformers

/// The training of an adapter or a head alone: its inputs, settings and output.
package struct TrainingJob: Sendable {
    /// The LoRA adapter of some modules.
    package struct LoRA: Sendable, Equatable {
        /// r.
        package var rank = 16
        /// α; nil for r.
        package var alpha: Double?
        /// Whether the scale is α/√r instead of α/r.
        package var isRankStabilized = false
        /// The dropout probability of the inputs of A.
        package var dropout = 0.0
        /// The modules.
        package let targets: LoRATargets

        /// An adapter of some modules (see `LoRATargets`).
        ///
        /// - Throws: `LoRATargetsError` naming an invalid target or layer.
        package init(targets: String = "query,value", layers: String? = nil) throws(LoRATargetsError) {
            self.targets = try LoRATargets(targets, layers: layers)
        }

        /// The settings for a backbone.
        ///
        /// - Throws: `LoRATargetsError` when the backbone has no such module or layer.
        package func adaptation(of configuration: BackboneConfiguration) throws(LoRATargetsError) -> LowRankAdaptation {
            LowRankAdaptation(
                modules: try targets.modules(of: configuration), rank: rank, alpha: alpha ?? Double(rank),
                isRankStabilized: isRankStabilized, dropout: dropout)
        }
    }

    /// The Hugging Face folder of the base.
    package var base: String
    /// The source of the base's preprocessing settings.
    package var preprocessor = PreprocessorChoice()
    /// The labelled images.
    package var data: TrainingData
    /// The task's name.
    package var task: String
    /// The folder to write.
    package var output: String
    /// The adapter; nil to train a head alone.
    package var lora: LoRA?
    /// The operand type of the frozen backbone's products, also for a head alone; trained parameters are f32.
    package var precision = OperandType.f32
    /// The settings of the run.
    package var settings: RunSettings
    /// AdamW's decoupled weight decay.
    package var weightDecay: Double
    /// The label smoothing: the share of the target spread over all classes, or over a label's presence and absence.
    package var labelSmoothing: Double
    /// The augmentation of training images.
    package var augmentation: Augmentation
    /// The maximum memory of decoded training images, in bytes.
    package var imageMemory = 4 << 30
    /// The naming scheme of modules in the adapter.
    package var names = ModuleNames.transformers5
    /// Whether an image that cannot be decoded ends the run.
    package var isStrict = false
    /// Whether an existing adapter is replaced, and a checkpoint of another run discarded.
    package var replaces = false
    /// Whether the run resumes from a checkpoint, if there is one.
    package var resumes = false
    /// Seconds after which a checkpoint is written within an epoch.
    package var checkpointSeconds = 60.0
    /// Steps after which a checkpoint is written, or nil.
    package var checkpointSteps: Int?
    /// The number of images computed at the same time.
    package var threads = 1
    /// The version of the program, for the record.
    package var version = ""

    /// A job with default settings: those of an adapter, or without `lora` those of a head alone.
    ///
    /// A head alone overfits sooner than it underfits: on the six tasks of docs/training.md, a label
    /// smoothing of 0.4 with a weight decay of 0.1 was best in cross-validation. Where images may show several labels,
    /// there is no smoothing.
    package init(base: String, data: TrainingData, task: String, output: String, lora: LoRA?) {
        (self.base, self.data, self.task, self.output, self.lora) = (base, data, task, output, lora)
        settings = lora == nil ? .headAlone : RunSettings()
        weightDecay = lora == nil ? 0.1 : AdamW().weightDecay
        labelSmoothing = data.labels != nil ? 0 : lora == nil ? 0.4 : 0.05
        augmentation = Augmentation(crops: lora != nil, flips: true)
    }
}
