import Adapters
import Datasets
import Files
import Images
import VisionTransformers

/// Tells which images of a task are near-duplicates of one another, by the features of a model that is planned when it
/// is first needed.
final class SimilarImages {
    private let source: any ParameterSource
    private let configuration: BackboneConfiguration
    private let imageSize: ImageSize
    private let passes: PassSettings
    private let warn: (Warning) -> Void
    private var model: MultitaskModel?

    /// Images as a backbone sees them.
    init(
        by source: any ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        passes: PassSettings, _ warn: @escaping (Warning) -> Void
    ) {
        (self.source, self.configuration, self.imageSize) = (source, configuration, imageSize)
        (self.passes, self.warn) = (passes, warn)
    }

    /// Which images of a task are alike. If nearly all are, each is held out alone, with a warning.
    ///
    /// - Parameter choosing: whether some of the images are to be held out, which takes several groups.
    func groups(of images: CalibrationImages, choosing: Bool = true) throws -> ImageGroups {
        let groups = try images.nearDuplicates(by: planned())
        guard choosing, groups.count < ImageGroups.holdOutEvery, images.count >= 2 * ImageGroups.holdOutEvery else {
            return groups
        }
        warn(
            """
            \(images.task): its \(images.count) images are near-duplicates of one another, so every \
            \(ImageGroups.holdOutEvery)th is held out alone: agreement on held-out images is that on fitted ones
            """)
        return ImageGroups(alone: images.count)
    }

    private func planned() throws -> MultitaskModel {
        if let model { return model }
        let planned = try MultitaskModel(
            source, configuration: configuration, imageSize: imageSize, passes: passes, outputs: .features)
        model = planned
        return planned
    }
}
