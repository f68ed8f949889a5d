/// The steps that make a decoded picture the input of a model: the settings of `preprocessor_config.json`.
///
/// The steps, each optional: resize, centre crop, rescale the 8-bit samples, normalise them by channel. Results are
/// those of transformers' image processors over Pillow or torchvision: the pixels bit for bit, the values within
/// rounding of 32-bit floats.
package struct Preprocessing: Sendable, Equatable {
    /// The size to which a picture is resized.
    package enum Target: Sendable, Equatable {
        /// This size, whatever the proportions of the picture.
        case exact(ImageSize)
        /// The shorter side becomes this long, the longer one in proportion, rounded down.
        case shortestEdge(Int)
    }

    /// How half a pixel before a centre crop is rounded.
    package enum CropRounding: Sendable, Equatable {
        /// Down, as in transformers.
        case down
        /// To the even number, as in timm.
        case toEven
    }

    /// The mean and standard deviation of each channel, in units of the rescaled samples.
    package struct Normalization: Sendable, Equatable {
        /// The mean of red, green and blue.
        package var mean: [Double]
        /// The standard deviation of red, green and blue.
        package var deviation: [Double]

        /// A normalisation. The caller guarantees three means and three positive deviations.
        package init(mean: [Double], deviation: [Double]) {
            precondition(mean.count == 3 && deviation.count == 3, "three channels expected")
            self.mean = mean
            self.deviation = deviation
        }
    }

    /// The size to resize to; nil for no resize.
    package var target: Target?
    /// The filter of the resize.
    package var filter: ResampleFilter
    /// The library whose resize is reproduced; it supports `filter`.
    package var resize = ResizeBackend.pillow
    /// Whether the resize gives fractions of samples, as DINOv3's: bilinear, and not rounded to 8 bits.
    package var resizesInFloats = false
    /// The size of the centre crop; nil for no crop. A smaller picture gets black borders.
    package var crop: ImageSize?
    /// Where the centre crop begins if as many pixels cannot go on either side.
    package var cropRounding = CropRounding.down
    /// The factor for every 8-bit sample; nil for values from 0 to 255.
    package var rescaleFactor: Double?
    /// The normalisation of each channel; nil for none.
    package var normalization: Normalization?

    /// The largest length of a side of a resized or cropped picture, in pixels.
    static let maximumSide = 16384

    /// Settings from their parts.
    package init(
        target: Target?, filter: ResampleFilter, crop: ImageSize?, rescaleFactor: Double?, normalization: Normalization?
    ) {
        self.target = target
        self.filter = filter
        self.crop = crop
        self.rescaleFactor = rescaleFactor
        self.normalization = normalization
    }

    /// The size of every prepared picture; nil if it depends on the picture.
    package var outputSize: ImageSize? {
        if let crop { return crop }
        guard case .exact(let size) = target else { return nil }
        return size
    }

    /// Decodes a picture for `apply(_:original:)`.
    ///
    /// With `options.isFast`, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size, by leaving out the high frequencies of
    /// its blocks, if each side still has at least 1.5 times the length after the resize. This is much faster for
    /// photographs, but differs from Pillow.
    ///
    /// - Returns: the upright picture, and its size when decoded in full.
    /// - Throws: `ImageError` as `RGBImage.init(decoding:options:)` does.
    package func picture(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions
    ) throws(ImageError) -> (picture: RGBImage, original: ImageSize) {
        try RGBImage.decode(bytes, options: options, least: leastSize(options))
    }

    /// The least size at which a picture may be decoded, given its full size; nil to decode in full.
    private func leastSize(_ options: DecodingOptions) -> ((ImageSize) -> ImageSize)? {
        guard options.isFast, target != nil else { return nil }
        return { original in
            let resized = resizedSize(of: original)
            return ImageSize(height: (resized.height * 3 + 1) / 2, width: (resized.width * 3 + 1) / 2)
        }
    }

    /// Decodes, resizes and crops a picture, with the result of `picture(decoding:options:)` and `apply(_:original:)`.
    ///
    /// Rows are resized as they are decoded, so that memory never holds the whole picture, unless the file does not
    /// store them in order.
    ///
    /// - Throws: `ImageError` as those two do.
    package func prepared(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions
    ) throws(ImageError) -> RGBImage {
        var reader = try PictureReader(bytes, options)
        try reader.start(least: leastSize(options))
        guard !reader.isWhole, !resizesInFloats, isWithinLimit(reader.original) else {
            let picture = try reader.readAll()
            return try apply(picture, original: reader.original)
        }
        let orientation = reader.orientation
        let frame = Frame(resized: resizedSize(of: reader.original), self)
        var rows = RowResize(
            reader.size.turned(from: orientation), to: frame.resized, filter: filter, backend: resize,
            rows: frame.rows.range, columns: frame.columns.range, orientation: orientation)
        var y = 0
        try reader.readEachRow { row in
            rows.add(row, at: y)
            y += 1
        }
        return frame.filled(by: rows.finish())
    }

    /// The picture resized and cropped, still in 8 bits.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - original: the size of the picture when decoded in full, if it was decoded at a fraction.
    /// - Throws: `ImageError` of kind `tooLarge` when there is no crop and a side of the resized picture would exceed
    ///   `maximumSide`.
    package func apply(_ image: RGBImage, original: ImageSize? = nil) throws(ImageError) -> RGBImage {
        let original = original ?? image.size
        let frame = Frame(resized: resizedSize(of: original), self)
        guard isWithinLimit(original) else {
            throw ImageError(
                kind: .tooLarge,
                reason: "\(original.width) x \(original.height) pixels would be resized to \(frame.resized.width) x "
                    + "\(frame.resized.height), a side over \(longestSide)")
        }
        guard !resizesInFloats else {
            let resized = image.resizedInFloats(to: frame.resized)
            return frame.filled(by: resized.cropped(rows: frame.rows.range, columns: frame.columns.range))
        }
        return frame.filled(
            by: image.resized(
                to: frame.resized, filter: filter, backend: resize, rows: frame.rows.range,
                columns: frame.columns.range))
    }

    /// The extent of a picture inside the centre crop, in the picture's pixels; all of it without a crop.
    ///
    /// - Returns: rows and columns, at most those of the picture.
    package func shownExtent(of image: RGBImage) -> (height: Double, width: Double) {
        let whole = (height: Double(image.height), width: Double(image.width))
        guard let crop else { return whole }
        let resized = resizedSize(of: image.size)
        return (
            whole.height * min(1, Double(crop.height) / Double(resized.height)),
            whole.width * min(1, Double(crop.width) / Double(resized.width))
        )
    }

    /// A part of a picture, resized to a size with the filter of these settings, still in 8 bits.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - rows: the rows of the part, within the picture and not empty.
    ///   - columns: its columns, likewise.
    ///   - size: the size of the result.
    package func apply(_ image: RGBImage, rows: Range<Int>, columns: Range<Int>, size: ImageSize) -> RGBImage {
        let isWhole = rows.count == image.height && columns.count == image.width
        let region = isWhole ? image : image.cropped(rows: rows, columns: columns)
        return resizesInFloats
            ? region.resizedInFloats(to: size) : region.resized(to: size, filter: filter, backend: resize)
    }

    /// Whether no side of the resized picture is too long.
    private func isWithinLimit(_ original: ImageSize) -> Bool {
        let resized = resizedSize(of: original)
        return target == nil || max(resized.height, resized.width) <= longestSide
    }

    /// The largest length of a side of the resized picture: unlimited if it is cropped, because only the crop is
    /// computed. torchvision's weights depend on the whole side.
    private var longestSide: Int {
        if crop == nil { return Preprocessing.maximumSide }
        return resize == .pillow ? .max : DecodingOptions.maximumSide
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

    /// The part of the resized picture that is computed, and its position in the crop.
    private struct Frame {
        let resized: ImageSize
        let rows: Window
        let columns: Window
        private let crop: ImageSize

        init(resized: ImageSize, _ settings: Preprocessing) {
            self.resized = resized
            crop = settings.crop ?? resized
            rows = Window(extent: resized.height, crop: crop.height, settings)
            columns = Window(extent: resized.width, crop: crop.width, settings)
        }

        /// The part with black borders, if it is smaller than the crop.
        func filled(by part: RGBImage) -> RGBImage {
            part.padded(to: crop, top: rows.padding, left: columns.padding)
        }
    }

    /// The range of one direction inside the centre crop, and the number of black pixels before it.
    private struct Window {
        let range: Range<Int>
        let padding: Int

        init(extent: Int, crop: Int, _ settings: Preprocessing) {
            let backend = settings.resize
            let rest = max(extent - crop, 0)
            let start = rest / 2 + (settings.cropRounding == .toEven && rest % 4 == 3 ? 1 : 0)
            range = start..<start + min(extent, crop)
            padding = max(crop - extent + (backend == .pillow ? 1 : 0), 0) / 2
        }
    }
}

extension RGBImage {
    /// The picture with black borders, with a size that is not smaller.
    fileprivate func padded(to size: ImageSize, top: Int, left: Int) -> RGBImage {
        if size.height == height, size.width == width { return self }
        func padded<Sample: FixedWidthInteger>(_ samples: [Sample]) -> [Sample] {
            guard !samples.isEmpty else { return [] }
            var result = [Sample](repeating: 0, count: size.width * size.height * 3)
            for y in 0..<height {
                let start = ((y + top) * size.width + left) * 3
                result.replaceSubrange(start..<start + width * 3, with: samples[y * width * 3..<(y + 1) * width * 3])
            }
            return result
        }
        return RGBImage(width: size.width, height: size.height, pixels: padded(pixels), fractions: padded(fractions))
    }
}
