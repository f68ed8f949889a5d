/// A picture as upright 8-bit RGB.
package struct RGBImage: Sendable, Equatable {
    /// Pixels in a row.
    package let width: Int
    /// Rows.
    package let height: Int
    /// The samples: rows from the top, pixels from the left, red, green, blue; `width * height * 3` bytes.
    package let pixels: [UInt8]
    /// What is left of each sample beyond the whole number, in 65536ths; empty for whole numbers.
    let fractions: [UInt16]

    /// The picture's extents.
    package var size: ImageSize { ImageSize(height: height, width: width) }

    /// A picture from its samples. The caller guarantees positive extents and `width * height * 3` samples.
    package init(width: Int, height: Int, pixels: [UInt8]) {
        self.init(width: width, height: height, pixels: pixels, fractions: [])
    }

    init(width: Int, height: Int, pixels: [UInt8], fractions: [UInt16]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "samples differ from the extents")
        precondition(fractions.isEmpty || fractions.count == pixels.count, "fractions differ from the samples")
        (self.width, self.height, self.pixels, self.fractions) = (width, height, pixels, fractions)
    }

    /// The picture with left and right exchanged.
    package func mirrored() -> RGBImage {
        RGBImage(width: width, height: height, pixels: mirrored(pixels), fractions: mirrored(fractions))
    }

    private func mirrored<Sample>(_ samples: [Sample]) -> [Sample] {
        let (width, height) = (width, height)
        return [Sample](unsafeUninitializedCapacity: samples.count) { buffer, initialized in
            initialized = samples.count
            guard !samples.isEmpty else { return }
            samples.withUnsafeBufferPointer { source in
                for y in 0..<height {
                    for x in 0..<width {
                        let (from, to) = ((y * width + x) * 3, (y * width + width - 1 - x) * 3)
                        for channel in 0..<3 { buffer[to + channel] = source[from + channel] }
                    }
                }
            }
        }
    }

    /// A part of the picture. The caller guarantees that the ranges are within it.
    func cropped(rows: Range<Int>, columns: Range<Int>) -> RGBImage {
        func part<Sample>(_ samples: [Sample]) -> [Sample] {
            guard !samples.isEmpty else { return [] }
            var result: [Sample] = []
            result.reserveCapacity(rows.count * columns.count * 3)
            for y in rows {
                let start = (y * width + columns.lowerBound) * 3
                result += samples[start..<start + columns.count * 3]
            }
            return result
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: part(pixels), fractions: part(fractions))
    }
}

/// A height and a width: of an image or a patch in pixels, or of a grid in patches.
package struct ImageSize: Sendable, Equatable, CustomStringConvertible {
    /// Rows.
    package var height: Int
    /// Columns.
    package var width: Int

    /// A size from its extents.
    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    /// "height x width".
    package var description: String { "\(height) x \(width)" }
}

/// How transparency is decoded.
package enum AlphaPolicy: String, CaseIterable, Sendable {
    /// Composited on white, as `convert_to_rgb` of transformers does.
    case white
    /// Composited on black.
    case black
    /// Dropped: the stored colours are used as they are, as Pillow's `convert("RGB")` does.
    case ignore
}

/// Options of decoding.
package struct DecodingOptions: Sendable, Equatable {
    /// How transparency is decoded.
    package var alpha: AlphaPolicy
    /// The largest number of pixels of a picture; checked by its header, before memory is allocated.
    package var maximumPixels: Int
    /// Whether JPEG pictures that are far larger than the model's input are decoded at 1/2, 1/4 or 1/8 of their size
    /// (see `Preprocessing.picture(decoding:options:)`).
    package var isFast: Bool

    /// The largest number of bytes that a codec may allocate at once, which a few formats need for strips or tiles.
    var maximumMemory: Int {
        let (bytes, overflow) = maximumPixels.multipliedReportingOverflow(by: 8)
        return overflow ? Int.max : max(bytes, 1 << 24)
    }

    /// The largest length of a side, whatever the number of pixels.
    static let maximumSide = 1_000_000

    /// Unless specified, transparency on white, at most 200 million pixels, and decoding in full.
    package init(alpha: AlphaPolicy = .white, maximumPixels: Int = 200_000_000, isFast: Bool = false) {
        self.alpha = alpha
        self.isFast = isFast
        self.maximumPixels = maximumPixels
    }
}
