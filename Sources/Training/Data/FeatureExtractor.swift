package import Compute
package import Datasets
package import Images
package import Tensors
package import VisionTransformers

/// Computes what heads read of a backbone, once for every picture.
package struct FeatureExtractor {
    private let model: MultitaskModel
    private let preparer: PatchPreparer
    /// Features of one picture that are kept: the first ones.
    package let width: Int

    /// Pictures that are computed between two reports.
    private static let chunk = 64

    /// Plans a frozen backbone for a head of the usual width.
    ///
    /// - Parameter precision: how the operands of its products are stored.
    /// - Throws: `ModelError`, `FileError`, `ComputeError` when that cannot be done.
    package init(_ base: Checkpoint, preparer: PatchPreparer, threads: Int, precision: OperandType = .f32) throws {
        let configuration = base.configuration
        try self.init(
            base, configuration: configuration, preparer: preparer, threads: threads,
            width: configuration.hiddenSize * configuration.family.classifierParts,
            precision: precision == .bf16 ? .bf16 : .f32)
    }

    /// Plans a backbone.
    ///
    /// - Parameter width: how many features of a picture are kept; nil for all that a head may read.
    /// - Throws: `ModelError`, `FileError`, `ComputeError` when that cannot be done.
    package init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, preparer: PatchPreparer, threads: Int,
        width: Int? = nil, precision: ComputePrecision = .f32
    ) throws {
        model = try MultitaskModel(
            source, configuration: configuration, heads: [], imageSize: preparer.imageSize, threads: threads,
            outputs: .features, precision: precision)
        self.preparer = preparer
        self.width = width ?? model.featureCount
    }

    /// The features of pictures of the model's size, (pictures, width).
    ///
    /// - Parameters:
    ///   - mirrored: whether they are computed of the mirror images.
    ///   - pool: the threads that cut patches.
    ///   - progress: told how many are done.
    /// - Throws: `ComputeError` when a kernel fails, and what `progress` throws.
    package func features(
        of pictures: [RGBImage], mirrored: Bool, pool: WorkerPool, progress: (_ done: Int) throws -> Void
    ) throws -> FloatBuffer {
        let result = FloatBuffer(count: pictures.count * width)
        let inputs = FloatBuffer(count: Self.chunk * model.inputCount)
        let features = FloatBuffer(count: Self.chunk * model.featureCount)
        for start in stride(from: 0, to: pictures.count, by: Self.chunk) {
            try progress(start)
            let count = min(Self.chunk, pictures.count - start)
            pool.forEach(count) { _, index in
                let picture = pictures[start + index]
                preparer.writePatches(
                    of: mirrored ? picture.mirrored() : picture,
                    into: UnsafeMutableBufferPointer(
                        start: inputs.base + index * model.inputCount, count: model.inputCount))
            }
            try model.run(inputs.base, images: count, logits: nil, features: features.base)
            for index in 0..<count {
                (result.base + (start + index) * width).update(
                    from: features.base + index * model.featureCount, count: width)
            }
        }
        try progress(pictures.count)
        return result
    }
}
