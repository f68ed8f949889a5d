package import Images
package import VisionTransformers

/// Turns one encoded image file into the network's input.
///
/// `prepare` is called from several threads at once. The description of the error that it throws becomes the reason in
/// the file's row, so it does not name the file.
package protocol ImagePreparing: Sendable {
    /// The number of floats of one prepared image.
    var valuesPerImage: Int { get }

    /// Decodes `encoded` and writes `valuesPerImage` floats.
    ///
    /// - Throws: any error; its description is the reason in the file's row.
    func prepare(_ encoded: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>) throws
}

/// Decodes an image and prepares it for a bundle's backbone: upright RGB, resized, normalised, cut into patches.
package struct PatchPreparer: ImagePreparing {
    /// The settings for decoded pictures.
    package let preprocessing: Preprocessing
    private let table: PixelValueTable
    private let decoding: DecodingOptions
    /// The size of the model's images.
    package let imageSize: ImageSize
    private let patchSize: ImageSize
    /// Values of one prepared image: patches in row-major order, each (channel, row, column).
    package let valuesPerImage: Int

    /// A preparer for a bundle's images.
    package init(_ bundle: ModelBundle, decoding: DecodingOptions) {
        self.init(bundle.preprocessing, configuration: bundle.backbone.configuration, decoding: decoding)
    }

    /// A preparer for a backbone's images.
    package init(_ preprocessing: Preprocessing, configuration: BackboneConfiguration, decoding: DecodingOptions) {
        self.preprocessing = preprocessing
        table = PixelValueTable(preprocessing)
        self.decoding = decoding
        imageSize = configuration.inputSize(preprocessing)
        patchSize = configuration.patchSize
        let grid = configuration.grid(for: imageSize)
        valuesPerImage = grid.height * grid.width * configuration.patchLength
    }

    /// Decodes, prepares and checks one image.
    ///
    /// - Returns: the decoded picture, and the picture after resizing and cropping.
    /// - Throws: `ImageError` when it cannot be decoded or does not have the size that the model takes.
    package func pictures(_ encoded: UnsafeRawBufferPointer) throws(ImageError) -> (rgb: RGBImage, prepared: RGBImage) {
        let (rgb, original) = try preprocessing.picture(decoding: encoded, options: decoding)
        return (rgb, try checked(preprocessing.apply(rgb, original: original)))
    }

    /// Decodes, prepares and checks one image, without holding the whole decoded picture where possible.
    ///
    /// - Returns: the picture after resizing and cropping.
    /// - Throws: `ImageError` as `pictures(_:)` does.
    package func picture(_ encoded: UnsafeRawBufferPointer) throws(ImageError) -> RGBImage {
        try checked(preprocessing.prepared(decoding: encoded, options: decoding))
    }

    private func checked(_ prepared: RGBImage) throws(ImageError) -> RGBImage {
        guard prepared.height == imageSize.height, prepared.width == imageSize.width else {
            throw ImageError(
                kind: .wrongSize,
                reason:
                    "preprocessing gives \(prepared.size) pixels, the model takes \(imageSize)")
        }
        return prepared
    }

    /// Decodes and prepares one image and writes its patches.
    ///
    /// - Throws: `ImageError` as `pictures(_:)` does.
    package func prepare(_ encoded: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>) throws {
        writePatches(of: try picture(encoded), into: output)
    }

    /// Writes the patches of a picture of the model's size, `valuesPerImage` floats.
    package func writePatches(of prepared: RGBImage, into output: UnsafeMutableBufferPointer<Float>) {
        table.writePatches(
            of: prepared, patchHeight: patchSize.height, patchWidth: patchSize.width, into: output)
    }
}
