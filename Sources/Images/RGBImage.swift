/// A picture as upright 8-bit RGB.
public struct RGBImage: Sendable, Equatable {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// The samples: rows from the top, pixels from the left, red, green, blue; `width * height * 3` bytes.
    public let pixels: [UInt8]

    /// The picture's extents.
    public var size: ImageSize { ImageSize(height: height, width: width) }

    /// A picture from its samples. The caller guarantees positive extents and `width * height * 3` samples.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "samples differ from the extents")
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// The height and width of a picture, in pixels.
public struct ImageSize: Sendable, Equatable {
    /// Rows.
    public var height: Int
    /// Pixels in a row.
    public var width: Int

    /// A size from its extents.
    public init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }
}

/// What becomes of transparency when a picture is decoded.
public enum AlphaPolicy: String, CaseIterable, Sendable {
    /// Composited on white, as `convert_to_rgb` of transformers does.
    case white
    /// Composited on black.
    case black
    /// Dropped: the stored colours are used as they are, as Pillow's `convert("RGB")` does.
    case ignore
}

/// How encoded pictures are decoded.
public struct DecodingOptions: Sendable, Equatable {
    /// What becomes of transparency.
    public var alpha: AlphaPolicy
    /// The most pixels a picture may have; checked from its header, before memory is taken.
    public var maximumPixels: Int
    /// Whether JPEG pictures that are far larger than what is made of them are decoded at 1/2, 1/4 or 1/8 of their size (see
    /// `Preprocessing.picture(decoding:options:)`).
    public var isFast: Bool

    /// No side may be longer, whatever the number of pixels.
    public static let maximumSide = 1_000_000

    /// Transparency on white, at most 200 million pixels and the full size, unless specified.
    public init(alpha: AlphaPolicy = .white, maximumPixels: Int = 200_000_000, isFast: Bool = false) {
        self.alpha = alpha
        self.isFast = isFast
        self.maximumPixels = maximumPixels
    }
}
