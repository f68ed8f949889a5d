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
    private let summarizes: Bool
    private let cached: ImageFeatures.Cached?
    private let warn: (Warning) -> Void
    private var model: MultitaskModel?
    /// What the backbone made of the images of each task that was looked at, if that is kept, for fits.
    private(set) var summaries: [String: FeatureTable] = [:]

    /// Images as a backbone sees them.
    ///
    /// - Parameters:
    ///   - summarizes: whether summaries are kept.
    ///   - cached: where features are kept; nil for nowhere.
    init(
        by source: any ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        passes: PassSettings, summarizes: Bool = false, cached: ImageFeatures.Cached? = nil,
        _ warn: @escaping (Warning) -> Void
    ) {
        (self.source, self.configuration, self.imageSize) = (source, configuration, imageSize)
        (self.passes, self.summarizes, self.cached, self.warn) = (passes, summarizes, cached, warn)
    }

    /// Which images of a task are alike. If nearly all are, each is held out alone, with a warning.
    ///
    /// - Parameters:
    ///   - choosing: whether some of the images are to be held out, which takes several groups.
    ///   - seen: what the backbone made of all the images in another pass; nil if there was none.
    func groups(
        of images: CalibrationImages, choosing: Bool = true, seen: CalibrationImages.Tables? = nil
    ) throws -> ImageGroups {
        let features: FeatureTable
        if summarizes {
            let tables = try seen ?? images.featuresAndSummaries(planned())
            (features, summaries[images.task]) = tables
        } else {
            features = try ImageFeatures(images, cached) { [self] in try planned() }.all()
        }
        let groups = try features.nearDuplicates(columns: configuration.hiddenSize)
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
