package import Evaluation
package import Files
package import Images
import Labelling
package import Training

/// A study of what merging does to some tasks: where everything is, how choices are made, and where the results go.
package struct StudyJob: Sendable {
    /// A task as it was named.
    package struct Task: Sendable {
        /// The task's name.
        package let name: String
        /// Its labelled images, `DATA/{train,val,test}/<class>/...`; without `test`, `val` is measured on.
        package let data: BytePath
        /// Its adapter; nil to train one.
        package let adapter: String?
        /// Its head trained over the base as it is; nil to train one.
        package let head: String?

        /// A task as it was named.
        package init(name: String, data: BytePath, adapter: String? = nil, head: String? = nil) {
            (self.name, self.data, self.adapter, self.head) = (name, data, adapter, head)
        }
    }

    /// The Hugging Face folder of the base.
    package let base: String
    /// The tasks, at least two.
    package let tasks: [Task]
    /// Which merges are made.
    package let plan: StudyPlan
    /// The folder of the study.
    package let output: String
    /// The scales that are chosen from, ascending.
    package var scales: [Double] = []
    /// How many training images of a task are looked at without their labels, at most; evenly spread.
    package var calibrationImages = 800
    /// How many held-out ones of these, and for alignment fitted ones, choose a scale.
    package var tuningImages = 120
    /// How often an adapter that is trained here sees every training image.
    package var epochs = 12
    /// How often a head that is trained here does.
    package var headEpochs = 120
    /// What training is drawn from.
    package var seed: UInt64 = 0
    /// The most memory that decoded images may take, in bytes.
    package var imageMemory = 4 << 30
    /// Whether adapters and heads are used even if they were trained over another base.
    package var allowsOtherBase = false
    /// How images are decoded.
    package var decoding = DecodingOptions()
    /// How many images are computed at the same time.
    package var threads = 1
    /// The version of the program, for the record.
    package var version = ""

    /// A study with the usual settings.
    package init(base: String, tasks: [Task], plan: StudyPlan, output: String) {
        (self.base, self.tasks, self.plan, self.output) = (base, tasks, plan, output)
    }

    /// How a study ended.
    package enum Outcome: Sendable {
        /// Everything is measured.
        case finished(Study, skipped: Int)
        /// `progress` said to stop; so many results of so many are there.
        case stopped(done: Int, of: Int)
    }
}

/// What a study tells of as it goes.
package enum StudyEvent: Sendable {
    /// So many files of so many are read.
    case reading(done: Int, of: Int)
    /// A file that cannot be used is left out.
    case skipped(task: String, path: BytePath, reason: String)
    /// Something about a task's data or class names is worth knowing.
    case note(String)
    /// An adapter, or a head alone, is trained.
    case training(task: String, isHead: Bool, TrainingEvent)
    /// An adapter, or a head alone, was trained.
    case trained(task: String, isHead: Bool, kept: EpochRecord?, output: String)
    /// So many results of so many were there already.
    case resumed(done: Int, of: Int)
    /// The work under way, in image passes of this process: done, and left as far as can be told.
    case working(tasks: [String], method: String, done: Double, left: Double)
    /// Something was measured: so many results of so many are there.
    case result(StudyResult, done: Int, of: Int)
}

/// Told of every event; answers whether to go on. What is finished is kept.
package typealias StudyProgress = (StudyEvent) -> Bool
