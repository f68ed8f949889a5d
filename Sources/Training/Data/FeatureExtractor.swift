package import Compute
package import Datasets
package import Images
package import Tensors
package import VisionTransformers

/// Computes the features of pictures that a backbone gives to heads.
package struct FeatureExtractor {
    private let model: MultitaskModel
    private let preparer: PatchPreparer
    /// The number of features per picture: the first ones of the backbone's.
    package let width: Int

    /// Plans a frozen backbone for a head as transformers has it: over CLS, in DINOv2 also the mean of the patches.
    ///
    /// - Throws: `ModelError`, `FileError`, `ComputeError` when a weight is missing or the plan fails.
    package init(_ base: Checkpoint, preparer: PatchPreparer, passes: PassSettings) throws {
        let configuration = base.configuration
        try self.init(
            base, configuration: configuration, preparer: preparer, passes: passes,
            width: configuration.hiddenSize * configuration.classifierParts)
    }

    /// Plans a backbone.
    ///
    /// - Parameters:
    ///   - width: the number of features per picture; nil for all that a head may read.
    ///   - streams: a task's stream, whose features these are then.
    /// - Throws: `ModelError`, `FileError`, `ComputeError` when a weight is missing or the plan fails.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, preparer: PatchPreparer,
        passes: PassSettings, width: Int? = nil, streams: TaskStreams? = nil
    ) throws {
        model = try MultitaskModel(
            source, configuration: configuration, imageSize: preparer.imageSize, passes: passes, outputs: .features,
            streams: streams)
        self.preparer = preparer
        self.width = width ?? model.featureCount
    }

    /// The features of preprocessed pictures, (pictures, width).
    ///
    /// - Parameters:
    ///   - mirrored: whether to use the mirror images.
    ///   - pool: the threads that cut patches.
    ///   - progress: called with the number of finished pictures.
    /// - Throws: `ComputeError` when a kernel fails, and what `progress` throws.
    package func features(
        of pictures: [RGBImage], mirrored: Bool, pool: WorkerPool, progress: (_ done: Int) throws -> Void
    ) throws -> FloatBuffer {
        let result = FloatBuffer(count: pictures.count * width)
        try model.computeFeatures(of: pictures.count, width: width, into: result.base) { images, patches in
            try progress(images.lowerBound)
            pool.forEach(images.count) { _, index in
                let picture = pictures[images.lowerBound + index]
                preparer.writePatches(
                    of: mirrored ? picture.mirrored() : picture,
                    into: UnsafeMutableBufferPointer(
                        start: patches + index * model.inputCount, count: model.inputCount))
            }
        }
        try progress(pictures.count)
        return result
    }
}
