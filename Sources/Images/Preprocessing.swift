/// How a decoded picture becomes the input of a model: what `preprocessor_config.json` of a checkpoint says.
///
/// The steps, each optional: resize, centre crop, rescale the 8-bit samples, normalise them by channel. Results are those
/// of transformers' Pillow-based image processors: the pixels bit for bit, the values within rounding of 32-bit floats.
public struct Preprocessing: Sendable, Equatable {
    /// What size a picture is resized to.
    public enum Target: Sendable, Equatable {
        /// This size, whatever the proportions of the picture.
        case exact(ImageSize)
        /// The shorter side becomes this long, the longer one in proportion, rounded down.
        case shortestEdge(Int)
    }

    /// The mean and standard deviation of each channel, in units of the rescaled samples.
    public struct Normalization: Sendable, Equatable {
        /// The mean of red, green and blue.
        public var mean: [Double]
        /// The standard deviation of red, green and blue.
        public var deviation: [Double]

        /// Three means and three positive deviations; the caller guarantees them.
        public init(mean: [Double], deviation: [Double]) {
            precondition(mean.count == 3 && deviation.count == 3, "three channels expected")
            self.mean = mean
            self.deviation = deviation
        }
    }

    /// The size to resize to, or nil to leave pictures as large as they are.
    public var target: Target?
    /// The filter of the resize.
    public var filter: ResampleFilter
    /// The size of the middle part that is kept, or nil to keep all. A smaller picture gets black borders.
    public var crop: ImageSize?
    /// What every 8-bit sample is multiplied by, or nil to keep 0 to 255.
    public var rescaleFactor: Double?
    /// The normalisation of each channel, or nil for none.
    public var normalization: Normalization?

    /// No side of a resized or cropped picture may be longer, in pixels.
    public static let maximumSide = 16384

    /// Settings from their parts.
    public init(
        target: Target?, filter: ResampleFilter, crop: ImageSize?, rescaleFactor: Double?,
        normalization: Normalization?
    ) {
        self.target = target
        self.filter = filter
        self.crop = crop
        self.rescaleFactor = rescaleFactor
        self.normalization = normalization
    }

    /// The size that every picture ends up with, or nil where that depends on the picture.
    public var outputSize: ImageSize? {
        if let crop { return crop }
        guard case .exact(let size) = target else { return nil }
        return size
    }

    /// Decodes a picture for `apply(_:original:)`.
    ///
    /// With `options.isFast`, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size, by leaving out the high frequencies of its
    /// blocks, where that leaves at least 1.5 times each side of the resized picture. The resize then starts from that: much
    /// faster for photographs, and not what Pillow gives.
    ///
    /// - Returns: the picture, upright, and the size that it has when decoded in full.
    /// - Throws: `ImageError` as `RGBImage.init(decoding:options:)` does.
    public func picture(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions
    ) throws(ImageError) -> (picture: RGBImage, original: ImageSize) {
        guard options.isFast else { return try RGBImage.decode(bytes, options: options, least: nil) }
        return try RGBImage.decode(bytes, options: options) { original in
            guard target != nil else { return original }
            let resized = resizedSize(of: original)
            return ImageSize(height: (resized.height * 3 + 1) / 2, width: (resized.width * 3 + 1) / 2)
        }
    }

    /// The picture resized and cropped, still in 8 bits.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - original: the size that counts for the size of the result, if the picture is a smaller version of another.
    /// - Throws: `ImageError` of kind `tooLarge` when there is no crop and a side of the resized picture would exceed
    ///   `maximumSide`, as that of a very long one can.
    public func apply(_ image: RGBImage, original: ImageSize? = nil) throws(ImageError) -> RGBImage {
        let original = original ?? image.size
        let resized = resizedSize(of: original)
        guard crop != nil || target == nil || max(resized.height, resized.width) <= Preprocessing.maximumSide else {
            throw ImageError(
                kind: .tooLarge,
                reason: "\(original.width) x \(original.height) pixels would be resized to \(resized.width) x "
                    + "\(resized.height), a side over \(Preprocessing.maximumSide)")
        }
        guard let crop else { return image.resized(to: resized, filter: filter) }
        let rows = Window(extent: resized.height, kept: crop.height)
        let columns = Window(extent: resized.width, kept: crop.width)
        let part = image.resized(to: resized, filter: filter, rows: rows.range, columns: columns.range)
        return part.padded(to: crop, top: rows.padding, left: columns.padding)
    }

    /// The size of a picture after the resize, before the crop.
    func resizedSize(of image: ImageSize) -> ImageSize {
        switch target {
        case nil: return image
        case .exact(let size): return size
        case .shortestEdge(let edge):
            let (short, long) = (min(image.height, image.width), max(image.height, image.width))
            let scaled = Int(Double(edge * long) / Double(short))
            return image.width <= image.height
                ? ImageSize(height: scaled, width: edge) : ImageSize(height: edge, width: scaled)
        }
    }

    /// The part of one direction that a centre crop keeps, and how many black pixels go before it.
    private struct Window {
        let range: Range<Int>
        let padding: Int

        init(extent: Int, kept: Int) {
            let start = max(extent - kept, 0) / 2
            range = start..<start + min(extent, kept)
            padding = max(kept - extent + 1, 0) / 2
        }
    }
}

extension RGBImage {
    /// The picture on a black one of another size, not smaller.
    fileprivate func padded(to size: ImageSize, top: Int, left: Int) -> RGBImage {
        if size.height == height, size.width == width { return self }
        var result = [UInt8](repeating: 0, count: size.width * size.height * 3)
        for y in 0..<height {
            let start = ((y + top) * size.width + left) * 3
            result.replaceSubrange(start..<start + width * 3, with: pixels[y * width * 3..<(y + 1) * width * 3])
        }
        return RGBImage(width: size.width, height: size.height, pixels: result)
    }
}
