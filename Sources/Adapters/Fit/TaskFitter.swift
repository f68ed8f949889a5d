import Files
package import Images
import Tensors
package import VisionTransformers

/// Measures what images of tasks look like to a backbone, so that `label` can say how well an image fits each task.
///
/// Of each task's images those that are not held out give the distribution (see `DistributionEstimate`), and those that
/// are held out the scores that others are compared with. No labels are used.
package struct TaskFitter {
    private let model: MultitaskModel

    /// A fitter for the tasks of one backbone.
    ///
    /// - Parameters:
    ///   - backbone: its weights; with task streams those that compute the patch tokens.
    ///   - configuration: the backbone's.
    ///   - imageSize: the size of preprocessed images.
    ///   - passes: how images are computed.
    /// - Throws: `ModelError`, `FileError`, `ComputeError`.
    package init(
        _ backbone: any ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        passes: PassSettings
    ) throws {
        model = try MultitaskModel(
            backbone, configuration: configuration, imageSize: imageSize, passes: passes)
    }

    /// Fewer images of a task than these tell nothing of it.
    package static let fewestImages = 2 * ImageGroups.holdOutEvery

    /// The fits of tasks that share the backbone.
    ///
    /// - Parameters:
    ///   - images: of each task.
    ///   - background: the background of the fits that are kept; nil to make it of these images.
    /// - Throws: `ModelError` naming a task with too few images; `ComputeError`.
    package func fit(_ images: [CalibrationImages], background: SummaryDistribution? = nil) throws -> GroupFit {
        var tables: [(fitted: FeatureTable, heldOut: FeatureTable)] = []
        let imageSets = images.count
        for (index, images) in images.enumerated() {
            guard images.count >= Self.fewestImages else {
                throw ModelError(
                    images.task, "\(images.count) images; at least \(Self.fewestImages) are needed for a fit")
            }
            tables.append(
                try LongWork.part("fitting tasks", index, of: imageSets) {
                    (
                        try images.summaries(model, images.indices(heldOut: false)),
                        try images.summaries(model, images.indices(heldOut: true))
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
