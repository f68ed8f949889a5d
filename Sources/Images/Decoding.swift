import CImageCodecs
import Glibc

extension RGBImage {
    /// Decodes a PNG or JPEG picture, told apart by their first bytes.
    ///
    /// The result is upright (EXIF orientation is applied), 8-bit and RGB: gray is repeated, 16-bit samples are rounded,
    /// CMYK is converted, transparency goes by `options.alpha`. Gamma and colour profiles are ignored.
    ///
    /// - Throws: `ImageError` when the data is neither format, has more pixels than allowed, or is cut short or corrupt:
    ///   there are no partial pictures.
    public init(
        decoding bytes: UnsafeRawBufferPointer, options: DecodingOptions = DecodingOptions()
    ) throws(ImageError) {
        self = try Self.decode(bytes, options: options, least: nil).picture
    }

    /// Decodes a picture, of a JPEG perhaps a smaller version of it: at 1/2, 1/4 or 1/8 of its size, as long as neither side
    /// gets shorter than `least` gives for the size of the upright picture.
    ///
    /// - Returns: the picture, and the size that it would have at full size.
    /// - Throws: `ImageError` as `init(decoding:options:)` does.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, options: DecodingOptions, least: ((ImageSize) -> ImageSize)?
    ) throws(ImageError) -> (picture: RGBImage, original: ImageSize) {
        let codec = try Codec(for: bytes)
        let size = try codec.readSize(bytes)
        guard size.width <= DecodingOptions.maximumSide, size.height <= DecodingOptions.maximumSide else {
            throw ImageError(
                kind: .tooLarge,
                reason: "\(size.width) x \(size.height) pixels: no side may exceed \(DecodingOptions.maximumSide)")
        }
        guard size.width * size.height <= options.maximumPixels else {
            throw ImageError(
                kind: .tooLarge,
                reason: "\(size.width) x \(size.height) pixels exceed the limit of \(options.maximumPixels)")
        }
        let (stored, orientation) = try codec.decode(bytes, size, options.alpha, least: least)
        return (
            orientation == .upright ? stored : stored.turned(from: orientation), size.turned(from: orientation)
        )
    }

    /// Decodes a picture from an array of bytes; see `init(decoding:options:)`.
    public init(decoding bytes: [UInt8], options: DecodingOptions = DecodingOptions()) throws(ImageError) {
        let result: Result<RGBImage, ImageError> = bytes.withUnsafeBytes { raw in
            do throws(ImageError) {
                return .success(try RGBImage(decoding: raw, options: options))
            } catch { return .failure(error) }
        }
        self = try result.get()
    }
}

/// The formats that are decoded. The C functions behind each never jump out and never print.
private enum Codec: String {
    case png = "PNG"
    case jpeg = "JPEG"

    init(for bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if bytes.isEmpty { throw ImageError(kind: .empty, reason: "empty file") }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else {
            let start = bytes.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
            throw ImageError(
                kind: .unknownFormat, reason: "neither PNG nor JPEG (starts with \(start.joined(separator: " ")))")
        }
    }

    /// The size in the header; also refuses data too short for that size.
    func readSize(_ bytes: UnsafeRawBufferPointer) throws(ImageError) -> ImageSize {
        var width: UInt32 = 0
        var height: UInt32 = 0
        let problem = report { message in
            let data = bytes.bindMemory(to: UInt8.self).baseAddress
            return switch self {
            case .png: mv_png_read_size(data, bytes.count, &width, &height, message)
            case .jpeg: mv_jpeg_read_size(data, bytes.count, &width, &height, message)
            }
        }
        if let problem { throw problem }
        return ImageSize(height: Int(height), width: Int(width))
    }

    /// The picture as stored, or a smaller version of it, and how it has to be turned.
    func decode(
        _ bytes: UnsafeRawBufferPointer, _ stored: ImageSize, _ alpha: AlphaPolicy,
        least: ((ImageSize) -> ImageSize)?
    ) throws(ImageError) -> (picture: RGBImage, orientation: Orientation) {
        let data = bytes.bindMemory(to: UInt8.self).baseAddress
        var problem: ImageError?
        var orientation = self == .jpeg ? Orientation(jpeg: bytes) : .upright
        var denominator = 1
        if self == .jpeg, let least = least?(stored.turned(from: orientation)).turned(from: orientation) {
            denominator = stored.largestDenominator(least: least)
        }
        let size = stored.divided(by: denominator)
        let (width, height) = (UInt32(size.width), UInt32(size.height))
        let count = size.width * size.height * 3
        guard Codec.canAllocate(count) else {
            throw ImageError(
                kind: .outOfMemory, reason: "\(rawValue): no memory for \(size.width) x \(size.height) pixels")
        }
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let rgb = buffer.baseAddress
            switch self {
            case .png:
                withUnsafeTemporaryAllocation(byteCount: Codec.exifCapacity, alignment: 1) { exif in
                    let exifBytes = exif.bindMemory(to: UInt8.self).baseAddress
                    var exifSize = 0
                    problem = report { message in
                        mv_png_decode(
                            data, bytes.count, width, height, alpha.code, rgb, exifBytes, exif.count, &exifSize,
                            message)
                    }
                    if problem == nil {
                        orientation = Orientation(tiff: UnsafeRawBufferPointer(rebasing: exif[..<exifSize]))
                    }
                }
            case .jpeg:
                problem = report { message in
                    mv_jpeg_decode(data, bytes.count, width, height, UInt32(denominator), rgb, message)
                }
            }
            initialized = problem == nil ? count : 0
        }
        if let problem { throw problem }
        return (RGBImage(width: size.width, height: size.height, pixels: pixels), orientation)
    }

    /// Whether there is memory for so many bytes. An array that gets none ends the process, so large ones are tried before.
    private static func canAllocate(_ count: Int) -> Bool {
        guard count > 1 << 20 else { return true }
        let memory = malloc(count)
        defer { free(memory) }
        return memory != nil
    }

    /// An eXIf chunk beyond this is not looked at; a JPEG segment cannot be longer either.
    private static let exifCapacity = 65536

    /// Calls a C function and puts its status and message into an error, or nil when all is well.
    private func report(_ call: (UnsafeMutablePointer<CChar>?) -> CInt) -> ImageError? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(MV_MESSAGE_SIZE)) { message in
            message.initialize(repeating: 0)
            let kind: ImageError.Kind
            switch Int(call(message.baseAddress)) {
            case MV_OK: return nil
            case MV_UNSUPPORTED: kind = .unsupported
            case MV_NO_MEMORY: kind = .outOfMemory
            default: kind = .damaged
            }
            let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return ImageError(kind: kind, reason: "\(rawValue): \(text)")
        }
    }
}

extension ImageSize {
    /// The size of a version at a fraction of this size, as libjpeg rounds it.
    fileprivate func divided(by denominator: Int) -> ImageSize {
        ImageSize(height: (height + denominator - 1) / denominator, width: (width + denominator - 1) / denominator)
    }

    /// The largest of 8, 4, 2 and 1 by which this size can be divided without a side below the least.
    fileprivate func largestDenominator(least: ImageSize) -> Int {
        [8, 4, 2].first { height >= least.height * $0 && width >= least.width * $0 } ?? 1
    }

    /// The size of the upright picture. Its own inverse.
    fileprivate func turned(from orientation: Orientation) -> ImageSize {
        orientation.swapsSides ? ImageSize(height: width, width: height) : self
    }
}

extension AlphaPolicy {
    fileprivate var code: CInt {
        switch self {
        case .white: CInt(MV_ALPHA_WHITE)
        case .black: CInt(MV_ALPHA_BLACK)
        case .ignore: CInt(MV_ALPHA_IGNORE)
        }
    }
}
