extension RGBImage {
    /// The picture with left and right exchanged.
    package func mirrored() -> RGBImage {
        let (width, height) = (width, height)
        let mirrored = [UInt8](unsafeUninitializedCapacity: pixels.count) { buffer, initialized in
            pixels.withUnsafeBufferPointer { source in
                for y in 0..<height {
                    for x in 0..<width {
                        let (from, to) = ((y * width + x) * 3, (y * width + width - 1 - x) * 3)
                        for channel in 0..<3 { buffer[to + channel] = source[from + channel] }
                    }
                }
            }
            initialized = pixels.count
        }
        return RGBImage(width: width, height: height, pixels: mirrored)
    }
}

extension Preprocessing {
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
}
