package import Adapters
package import Compute
package import Training
package import VisionTransformers

/// What is to be trained on what, how, and where the result goes.
package struct TrainingJob: Sendable {
    /// Low-rank updates of some modules.
    package struct LoRA: Sendable, Equatable {
        /// r.
        package var rank = 16
        /// α; without it r.
        package var alpha: Double?
        /// Whether the scale is α/√r instead of α/r.
        package var isRankStabilized = false
        /// The part of the inputs of B·A that is dropped in training.
        package var dropout = 0.0
        /// The modules.
        package let targets: LoRATargets

        /// Updates of the modules that are named as `LoRATargets` has them.
        ///
        /// - Throws: `ModelError` when they cannot be understood.
        package init(targets: String = "query,value", layers: String? = nil) throws(ModelError) {
            self.targets = try LoRATargets(targets, layers: layers)
        }

        /// The settings for a backbone.
        ///
        /// - Throws: `ModelError` when the backbone has no such module or layer.
        package func adaptation(of configuration: BackboneConfiguration) throws(ModelError) -> LowRankAdaptation {
            LowRankAdaptation(
                modules: try targets.modules(of: configuration), rank: rank, alpha: alpha ?? Double(rank),
                isRankStabilized: isRankStabilized, dropout: dropout)
        }
    }

    /// The Hugging Face folder of the base.
    package var base: String
    /// Where the base's preprocessing settings come from.
    package var preprocessor = PreprocessorChoice()
    /// The labelled images.
    package var data: TrainingData
    /// The task's name.
    package var task: String
    /// The folder to write.
    package var output: String
    /// The updates of the backbone; nil trains the head alone.
    package var lora: LoRA?
    /// How the operands of the frozen backbone's products are stored, also when a head alone reads its features; what
    /// is trained is f32 in either.
    package var precision = OperandType.f32
    /// How the run goes.
    package var settings: RunSettings
    /// AdamW's decoupled weight decay.
    package var weightDecay: Double
    /// How much of the target is spread over all classes, or over a label's presence and absence.
    package var labelSmoothing: Double
    /// How training images change.
    package var augmentation: Augmentation
    /// The most memory that decoded training images may take, in bytes.
    package var imageMemory = 4 << 30
    /// Whose names modules have in the adapter.
    package var names = ModuleNames.transformers5
    /// Whether an image that cannot be used ends the run.
    package var isStrict = false
    /// Whether an adapter that is there is replaced, and a checkpoint of another run given up.
    package var replaces = false
    /// Whether the run goes on from a checkpoint, if there is one.
    package var resumes = false
    /// Seconds after which a checkpoint is written within an epoch.
    package var checkpointSeconds = 60.0
    /// Steps after which one is written, or nil.
    package var checkpointSteps: Int?
    /// How many images are computed at the same time.
    package var threads = 1
    /// The version of the program, for the record.
    package var version = ""

    /// A job with the usual settings: those of an adapter, or without updates those of a head alone.
    ///
    /// A head alone overfits sooner than it underfits: on the six tasks of docs/training.md, a label smoothing of 0.4
    /// with a weight decay of 0.1 did best in cross-validation. Where images may show several labels, nothing is
    /// smoothed.
    package init(base: String, data: TrainingData, task: String, output: String, lora: LoRA?) {
        (self.base, self.data, self.task, self.output, self.lora) = (base, data, task, output, lora)
        settings = lora == nil ? .headAlone : RunSettings()
        weightDecay = lora == nil ? 0.1 : AdamW().weightDecay
        labelSmoothing = data.labels != nil ? 0 : lora == nil ? 0.4 : 0.05
        augmentation = Augmentation(crops: lora != nil, flips: true)
    }
}
