package import Evaluation
package import Files
import Labelling
package import Training

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
