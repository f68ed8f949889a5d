import Files
package import Images
import Tensors
package import VisionTransformers

/// Measures what images of tasks look like to a backbone, so that `label` can say how well an image fits each task.
///
/// Of each task's images those that are not held out give the distribution (see `DistributionEstimate`), and those that
/// are held out the scores that others are compared with. No labels are used.
package struct TaskFitter {
    private let plan: () throws -> MultitaskModel

    /// A fitter for the tasks of one backbone.
    ///
    /// - Parameters:
    ///   - backbone: its weights; with task streams those that compute the patch tokens.
    ///   - configuration: the backbone's.
    ///   - imageSize: the size of preprocessed images.
    ///   - passes: how images are computed.
    package init(
        _ backbone: any ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        passes: PassSettings
    ) {
        plan = {
            try MultitaskModel(backbone, configuration: configuration, imageSize: imageSize, passes: passes)
        }
    }

    /// Fewer images of a task than these tell nothing of it.
    package static let fewestImages = 2 * ImageGroups.holdOutEvery

    /// The fits of tasks that share the backbone.
    ///
    /// - Parameters:
    ///   - images: of each task.
    ///   - summaries: what the backbone has made of all images of some tasks; those of others are computed.
    ///   - background: the background of the fits that are kept; nil to make it of these images.
    /// - Throws: `ModelError` naming a task with too few images, or for the backbone; `FileError`, `ComputeError`.
    package func fit(
        _ images: [CalibrationImages], summaries: [String: FeatureTable] = [:], background: SummaryDistribution? = nil
    ) throws -> GroupFit {
        var model: MultitaskModel?
        func planned() throws -> MultitaskModel {
            let planned = try model ?? plan()
            model = planned
            return planned
        }
        var tables: [(fitted: FeatureTable, heldOut: FeatureTable)] = []
        let imageSets = images.count
        for (index, images) in images.enumerated() {
            guard images.count >= Self.fewestImages else {
                throw ModelError(
                    images.task, "\(images.count) images; at least \(Self.fewestImages) are needed for a fit")
            }
            tables.append(
                try LongWork.part("fitting tasks", index, of: imageSets) {
                    let all = try summaries[images.task] ?? images.summaries(planned(), Array(0..<images.count))
                    return (
                        all.selecting(images.indices(heldOut: false)), all.selecting(images.indices(heldOut: true))
                    )
                })
        }
        let background = try background ?? DistributionEstimate.distribution(tables.map(\.fitted))
        var group = GroupFit(background: background, tasks: [:])
        for (images, table) in zip(images, tables) {
            let distribution = try DistributionEstimate.distribution([table.fitted])
            let scores = table.heldOut.values.withUnsafeBufferPointer { values -> [Float] in
                guard let start = values.baseAddress else { return [] }
                return (0..<table.heldOut.rows).map { row in
                    GroupFit.score(start + row * table.heldOut.width, distribution, background: background)
                }
            }
            group.tasks[images.task] = TaskFit(task: images.task, distribution: distribution, heldOut: scores)
        }
        return group
    }
}
