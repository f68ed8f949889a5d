import Adapters
import Datasets
import Files
import Images
import VisionTransformers

/// Makes fits of a merge's tasks from its calibration images: the same as `FitJob` makes of the bundle from these
/// images.
struct MergeFits {
    private let images: [CalibrationImages]
    private let configuration: BackboneConfiguration
    private let imageSize: ImageSize
    private let passes: PassSettings
    private let warn: (Warning) -> Void
    /// What the backbones of some tasks made of all of the tasks' images in another pass.
    private let seen: [String: CalibrationImages.Tables]

    /// Fits of tasks from their images.
    ///
    /// - Parameters:
    ///   - base: the base of the merge, or the bundle: what says how images are prepared.
    ///   - seen: what the backbones of some tasks made of all of the tasks' images in another pass.
    init(
        _ images: [CalibrationImages], base: Checkpoint, passes: PassSettings,
        seen: [String: CalibrationImages.Tables] = [:], _ warn: @escaping (Warning) -> Void
    ) throws {
        (self.images, self.passes, self.seen, self.warn) = (images, passes, seen, warn)
        configuration = base.configuration
        imageSize = try configuration.inputSize(base.preprocessing())
    }

    /// The fits of each group of a merge; nil for a group without any.
    func fits(of groups: [BundleGroup]) throws -> [GroupFit?] {
        guard let first = groups.first else { return [] }
        let (images, summaries) = try grouped(
            by: first.merged, seen: seen.filter { task, _ in first.heads.contains { $0.task == task } })
        return try groups.enumerated().map { index, group in
            let own = images.filter { images in group.heads.contains { $0.task == images.task } }
            guard !own.isEmpty else { return nil }
            let known = (index == 0 ? summaries : [:]).merging(seen.mapValues(\.summaries)) { first, _ in first }
            return try fit(own, known, by: group.merged, background: nil)
        }
    }

    /// The fits of tasks that are added to a group.
    ///
    /// - Parameters:
    ///   - backbone: the group's.
    ///   - background: that of the group's fits; nil to make it of these images.
    ///   - regrouping: whether near-duplicates are told by the backbone, instead of as they were read.
    func fits(
        addedTo backbone: any ParameterSource, background: SummaryDistribution?, regrouping: Bool
    ) throws -> GroupFit {
        let (images, summaries) = try regrouping ? grouped(by: backbone) : (images, [:])
        return try fit(images, summaries, by: backbone, background: background)
    }

    /// The images with those held out together that the backbone finds alike, unless their names say it, and what it
    /// made of those that it compared.
    private func grouped(
        by backbone: any ParameterSource, seen: [String: CalibrationImages.Tables] = [:]
    ) throws -> (images: [CalibrationImages], summaries: [String: FeatureTable]) {
        let similar = SimilarImages(
            by: backbone, configuration: configuration, imageSize: imageSize, passes: passes, summarizes: true, warn)
        let images = try images.enumerated().map { index, images in
            if case .name = images.groups.rule { return images }
            return try LongWork.part("comparing images for fits", index, of: self.images.count) {
                images.grouped(as: try similar.groups(of: images, seen: seen[images.task]))
            }
        }
        return (images, similar.summaries)
    }

    private func fit(
        _ images: [CalibrationImages], _ summaries: [String: FeatureTable], by backbone: any ParameterSource,
        background: SummaryDistribution?
    ) throws -> GroupFit {
        try TaskFitter(backbone, configuration: configuration, imageSize: imageSize, passes: passes)
            .fit(images, summaries: summaries, background: background)
    }
}
