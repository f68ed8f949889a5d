/// How a decoded picture becomes the input of a model: what `preprocessor_config.json` of a checkpoint says.
///
/// The steps, each optional: resize, centre crop, rescale the 8-bit samples, normalise them by channel. Results are
/// those of transformers' image processors over Pillow or torchvision: the pixels bit for bit, the values within
/// rounding of 32-bit floats.
package struct Preprocessing: Sendable, Equatable {
    /// What size a picture is resized to.
    package enum Target: Sendable, Equatable {
        /// This size, whatever the proportions of the picture.
        case exact(ImageSize)
        /// The shorter side becomes this long, the longer one in proportion, rounded down.
        case shortestEdge(Int)
    }

    /// The mean and standard deviation of each channel, in units of the rescaled samples.
    package struct Normalization: Sendable, Equatable {
        /// The mean of red, green and blue.
        package var mean: [Double]
        /// The standard deviation of red, green and blue.
        package var deviation: [Double]

        /// Three means and three positive deviations; the caller guarantees them.
        package init(mean: [Double], deviation: [Double]) {
            precondition(mean.count == 3 && deviation.count == 3, "three channels expected")
            self.mean = mean
            self.deviation = deviation
        }
    }

    /// The size to resize to, or nil to leave pictures as large as they are.
    package var target: Target?
    /// The filter of the resize.
    package var filter: ResampleFilter
    /// Whose resize it is; it has the filter.
    package var resize = ResizeBackend.pillow
    /// The size of the middle part that is kept, or nil to keep all. A smaller picture gets black borders.
    package var crop: ImageSize?
    /// What every 8-bit sample is multiplied by, or nil to keep 0 to 255.
    package var rescaleFactor: Double?
    /// The normalisation of each channel, or nil for none.
    package var normalization: Normalization?

    /// No side of a resized or cropped picture may be longer, in pixels.
    package static let maximumSide = 16384

    /// Settings from their parts.
    package init(
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
    package var outputSize: ImageSize? {
        if let crop { return crop }
        guard case .exact(let size) = target else { return nil }
        return size
    }

    /// Decodes a picture for `apply(_:original:)`.
    ///
    /// With `options.isFast`, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size, by leaving out the high frequencies of
    /// its blocks, where that leaves at least 1.5 times each side of the resized picture. The resize then starts from
    /// that: much faster for photographs, and not what Pillow gives.
    ///
    /// - Returns: the picture, upright, and the size that it has when decoded in full.
    /// - Throws: `ImageError` as `RGBImage.init(decoding:options:)` does.
    package func picture(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions
    ) throws(ImageError) -> (picture: RGBImage, original: ImageSize) {
        try RGBImage.decode(bytes, options: options, least: leastSize(options))
    }

    /// How small a smaller version of a picture may be that is decoded in its place; nil if none may.
    private func leastSize(_ options: DecodingOptions) -> ((ImageSize) -> ImageSize)? {
        guard options.isFast, target != nil else { return nil }
        return { original in
            let resized = resizedSize(of: original)
            return ImageSize(height: (resized.height * 3 + 1) / 2, width: (resized.width * 3 + 1) / 2)
        }
    }

    /// Decodes a picture, resized and cropped: what `apply(_:original:)` makes of what `picture(decoding:options:)`
    /// gives.
    ///
    /// Rows are resized as they are decoded, so that the whole picture never takes memory, unless the file does not
    /// have them in order (interlaced PNG).
    ///
    /// - Throws: `ImageError` as those two do.
    package func prepared(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions
    ) throws(ImageError) -> RGBImage {
        var reader = try PictureReader(bytes)
        try reader.start(options, least: leastSize(options))
        guard !reader.isWhole, isWithinLimit(reader.original) else {
            let picture = try reader.readAll()
            return try apply(picture, original: reader.original)
        }
        let orientation = reader.orientation
        let frame = Frame(resized: resizedSize(of: reader.original), crop: crop, resize)
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
    ///   - original: the size that counts for the size of the result, if the picture is a smaller version of another.
    /// - Throws: `ImageError` of kind `tooLarge` when there is no crop and a side of the resized picture would exceed
    ///   `maximumSide`, as that of a very long one can.
    package func apply(_ image: RGBImage, original: ImageSize? = nil) throws(ImageError) -> RGBImage {
        let original = original ?? image.size
        let frame = Frame(resized: resizedSize(of: original), crop: crop, resize)
        guard isWithinLimit(original) else {
            throw ImageError(
                kind: .tooLarge,
                reason: "\(original.width) x \(original.height) pixels would be resized to \(frame.resized.width) x "
                    + "\(frame.resized.height), a side over \(longestSide)")
        }
        return frame.filled(
            by: image.resized(
                to: frame.resized, filter: filter, backend: resize, rows: frame.rows.range,
                columns: frame.columns.range))
    }

    /// How large a part of a picture `apply(_:)` shows, in the picture's pixels: all of it, or what the centre crop
    /// keeps.
    ///
    /// - Returns: rows and columns, at most the picture's own.
    package func shownExtent(of image: RGBImage) -> (height: Double, width: Double) {
        let whole = (height: Double(image.height), width: Double(image.width))
        guard let crop else { return whole }
        let resized = resizedSize(of: image.size)
        return (
            whole.height * min(1, Double(crop.height) / Double(resized.height)),
            whole.width * min(1, Double(crop.width) / Double(resized.width))
        )
    }

    /// A part of a picture resized to the model's size with the filter of these settings, still in 8 bits: what
    /// `apply(_:)` would give if only that part were there to be shown.
    ///
    /// - Parameters:
    ///   - image: the picture.
    ///   - rows: the rows of the part, within the picture and not empty.
    ///   - columns: its columns, likewise.
    ///   - size: the size of the result.
    package func apply(_ image: RGBImage, rows: Range<Int>, columns: Range<Int>, size: ImageSize) -> RGBImage {
        let isWhole = rows.count == image.height && columns.count == image.width
        let region = isWhole ? image : image.cropped(rows: rows, columns: columns)
        return region.resized(to: size, filter: filter, backend: resize)
    }

    /// Whether the result of the resize has no side that is too long.
    private func isWithinLimit(_ original: ImageSize) -> Bool {
        let resized = resizedSize(of: original)
        return target == nil || max(resized.height, resized.width) <= longestSide
    }

    /// How long a side of the resized picture may be: as long as a picture's if only a part of it is kept.
    /// torchvision's weights depend on all of the resized picture.
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

    /// What is computed of a resized picture, and where it goes.
    private struct Frame {
        let resized: ImageSize
        let rows: Window
        let columns: Window
        private let crop: ImageSize

        init(resized: ImageSize, crop: ImageSize?, _ backend: ResizeBackend) {
            self.resized = resized
            self.crop = crop ?? resized
            rows = Window(extent: resized.height, kept: self.crop.height, backend)
            columns = Window(extent: resized.width, kept: self.crop.width, backend)
        }

        /// The part on black, if it is smaller than the crop.
        func filled(by part: RGBImage) -> RGBImage {
            part.padded(to: crop, top: rows.padding, left: columns.padding)
        }
    }

    /// The part of one direction that a centre crop keeps, and how many black pixels go before it.
    private struct Window {
        let range: Range<Int>
        let padding: Int

        init(extent: Int, kept: Int, _ backend: ResizeBackend) {
            let start = max(extent - kept, 0) / 2
            range = start..<start + min(extent, kept)
            padding = max(kept - extent + (backend == .pillow ? 1 : 0), 0) / 2
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
