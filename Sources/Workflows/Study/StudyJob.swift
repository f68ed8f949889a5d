package import Adapters
package import Compute
package import Evaluation
package import Files
package import Images
import Labelling
package import Training
import VisionTransformers

/// A study of merging: its inputs, settings and output.
package struct StudyJob: Sendable {
    /// A task as given.
    package struct Task: Sendable {
        /// The task's name.
        package let name: String
        /// Its labelled images, `DATA/{train,val,test}/<class>/...`; without `test`, `val` is evaluated.
        package let data: BytePath
        /// Its adapter; nil to train one.
        package let adapter: String?
        /// Its head trained over the unchanged base; nil to train one.
        package let head: String?

        package init(name: String, data: BytePath, adapter: String? = nil, head: String? = nil) {
            (self.name, self.data, self.adapter, self.head) = (name, data, adapter, head)
        }
    }

    /// The Hugging Face folder of the base.
    package let base: String
    /// The tasks, at least two.
    package let tasks: [Task]
    /// The merges to make.
    package let plan: StudyPlan
    /// The folder of the study.
    package let output: String
    /// The candidate scales, ascending.
    package var scales: [Double] = []
    /// The maximum number of training images per task that tuning and alignment use, without labels; evenly spaced.
    package var calibrationImages = 800
    /// The number of held-out ones of these, and for alignment of fitted ones, that choose a scale.
    package var tuningImages = 120
    /// The epochs of an adapter that the study trains.
    package var epochs = 12
    /// The epochs of a head that the study trains.
    package var headEpochs = 120
    /// The seed of training.
    package var seed: UInt64 = 0
    /// The maximum memory of decoded images, in bytes.
    package var imageMemory = 4 << 30
    /// Where the single adapters' features of the calibration images are kept for later commands; nil for nowhere.
    package var featureCache: FeatureCache.Settings?
    /// Whether adapters and heads of another base are accepted.
    package var allowsOtherBase = false
    /// How images are decoded.
    package var decoding = DecodingOptions()
    /// The number of images computed at the same time.
    package var threads = 1
    /// The type of the operands of products, in passes and in training.
    package var precision = OperandType.f32
    /// How passes over images are computed.
    var passes: PassSettings { PassSettings(threads: threads, precision: precision) }
    /// The version of the program, for the record.
    package var version = ""

    /// A study with default settings.
    package init(base: String, tasks: [Task], plan: StudyPlan, output: String) {
        (self.base, self.tasks, self.plan, self.output) = (base, tasks, plan, output)
    }

    /// The outcome of a study.
    package enum Outcome: Sendable {
        /// All results exist.
        case finished(Study, skipped: Int)
        /// `progress` returned false; `done` of `of` results exist.
        case stopped(done: Int, of: Int)
    }
}

/// An event of a study.
package enum StudyEvent: Sendable {
    /// `done` of `of` files are read.
    case reading(done: Int, of: Int)
    /// A file that cannot be decoded is skipped.
    case skipped(task: String, path: BytePath, reason: String)
    /// A note about a task's data or class names.
    case note(Warning)
    /// An event of the training of an adapter or of a head alone.
    case training(task: String, isHead: Bool, TrainingEvent)
    /// The training of an adapter or of a head alone is finished.
    case trained(task: String, isHead: Bool, kept: EpochRecord?, output: String)
    /// `done` of `of` results existed before.
    case resumed(done: Int, of: Int)
    /// The current work, in image passes of this process: finished, and an estimate of the rest.
    case working(tasks: [String], method: String, done: Double, left: Double)
    /// A new result; `done` of `of` results exist.
    case result(StudyResult, done: Int, of: Int)
}

/// Receives every event; returns false to stop. Finished results are kept.
package typealias StudyProgress = (StudyEvent) -> Bool
