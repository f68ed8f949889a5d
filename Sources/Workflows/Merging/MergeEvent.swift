package import Adapters
package import Files
package import Training

/// An event of a merge.
package enum MergeEvent {
    /// Something that a user should know.
    case warning(Warning)
    /// Images are computed in a precision that was found to keep these labels.
    case reducedPrecision(CalibrationUse.ReducedPrecision)
    /// The parameters of a merge were chosen on images.
    case tuned(tasks: [String], merge: ConfiguredMethod, parameters: [MergeParameter], loss: Double)
    /// The fewest groups were found.
    case grouped(count: Int, maximumDrop: Double)
    /// The training of a merge begins; from here on a stop leaves a checkpoint.
    case distillationBegins
    /// An event of the training.
    case distillation(DistillationEvent)
    /// The training of a merge has ended.
    case distillationEnded
    /// What training gained for streams: the mean divergence of tasks on held-out images, in nats. Where it gained
    /// nothing, the merge is kept as it was before.
    case distillationChange(before: Double, after: Double)
    /// A head was aligned, or found to be better as it was.
    case aligned(HeadAlignment.Result)
    /// How well a task agrees with its single adapter.
    case agreement(AgreementReport)
    /// The output is being written. `discard` removes the unfinished folder, if the process is told to end, and gives
    /// whether it was unfinished.
    case writing(discard: @Sendable () -> Bool)
}

/// Why a merge cannot be made.
package enum MergeJobError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What cannot be made of several groups.
    case severalGroups(for: String)
    /// An adapter cannot hold streams.
    case streams
    /// An adapter cannot hold tasks that were added or removed after the merge.
    case changedTasks
    /// A plan uses images and none are given.
    case noImages(String)

    /// What is wrong.
    package var description: String {
        switch self {
        case .severalGroups(let output): "\(output): one merged backbone is needed, and there are several groups"
        case .streams: "an adapter holds one merged delta and no streams"
        case .changedTasks: "tasks were added or removed after the merge, which an adapter does not hold"
        case .noImages(let method): "\(method) needs calibration images"
        }
    }
}
