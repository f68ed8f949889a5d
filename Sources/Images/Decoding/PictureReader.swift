import CImageCodecs
import Glibc

/// A decoder of one PNG or JPEG picture. Its steps are: open (`init`), `start`, read the rows from the top, `finish`.
///
/// It owns the codec's handle. The C functions neither jump out nor print. The bytes must stay valid as long as the
/// reader exists.
struct PictureReader: ~Copyable {
    private let codec: Codec
    private let handle: OpaquePointer
    /// The message of the last failed call.
    private let message: UnsafeMutablePointer<CChar>
    /// The size in the header, of the picture as stored.
    let stored: ImageSize
    /// The size of the decoded picture: smaller than `stored` when decoding at a fraction.
    private(set) var size: ImageSize
    /// The orientation of the rows. That of a PNG is known after `start`.
    private(set) var orientation: Orientation
    /// The size in the header, of the upright picture.
    var original: ImageSize { stored.turned(from: orientation) }
    /// Whether all rows must be read at once.
    private(set) var isWhole = false
    private let bytes: UnsafeRawBufferPointer

    /// Reads the header.
    ///
    /// - Throws: `ImageError` when the data is not a picture, or too short for its pixels.
    init(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        let codec = try Codec(for: bytes)
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(MV_MESSAGE_SIZE))
        message.initialize(repeating: 0, count: Int(MV_MESSAGE_SIZE))
        let data = bytes.bindMemory(to: UInt8.self).baseAddress
        var (width, height): (UInt32, UInt32) = (0, 0)
        var handle: OpaquePointer?
        let status =
            switch codec {
            case .png: mv_png_open(data, bytes.count, &handle, &width, &height, message)
            case .jpeg: mv_jpeg_open(data, bytes.count, &handle, &width, &height, message)
            }
        guard let handle else {
            defer { message.deallocate() }
            throw codec.problem(status, message)
        }
        self.bytes = bytes
        self.codec = codec
        self.handle = handle
        self.message = message
        stored = ImageSize(height: Int(height), width: Int(width))
        size = stored
        orientation = codec == .jpeg ? Orientation(jpeg: bytes) : .upright
    }

    deinit {
        switch codec {
        case .png: mv_png_close(handle)
        case .jpeg: mv_jpeg_close(handle)
        }
        message.deallocate()
    }

    /// Reads everything before the pixels.
    ///
    /// - Parameters:
    ///   - options: the largest number of pixels, and how transparency is decoded.
    ///   - least: returns the least size to decode at, given the size of the upright picture; nil to decode in full.
    mutating func start(_ options: DecodingOptions, least: ((ImageSize) -> ImageSize)?) throws(ImageError) {
        try PictureReader.check(stored, options)
        switch codec {
        case .png:
            var whole: CInt = 0
            try check(mv_png_start(handle, options.alpha.code, &whole, message))
            isWhole = whole != 0
            orientation = try Orientation(png: bytes)
        case .jpeg:
            var denominator = 1
            if let least = least?(stored.turned(from: orientation)).turned(from: orientation) {
                denominator = stored.largestDenominator(least: least)
            }
            size = stored.divided(by: denominator)
            try check(
                mv_jpeg_start(handle, UInt32(denominator), UInt32(size.width), UInt32(size.height), message))
        }
    }

    private static func check(_ size: ImageSize, _ options: DecodingOptions) throws(ImageError) {
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
    }

    /// Decodes the next rows, as stored, to `rgb`, which holds `count * size.width * 3` bytes.
    mutating func readRows(_ count: Int, into rgb: UnsafeMutablePointer<UInt8>) throws(ImageError) {
        switch codec {
        case .png: try check(mv_png_read_rows(handle, rgb, UInt32(count), message))
        case .jpeg: try check(mv_jpeg_read_rows(handle, rgb, UInt32(count), message))
        }
    }

    /// Checks the end of the pixels. Only after this is the picture known to be intact.
    mutating func finish() throws(ImageError) {
        switch codec {
        case .png: try check(mv_png_finish(handle, message))
        case .jpeg: try check(mv_jpeg_finish(handle, message))
        }
    }

    /// Decodes the picture row by row, as stored, and finishes it; memory holds a few rows.
    ///
    /// - Parameter body: called with every row, from the top. Its results are valid only if nothing is thrown.
    mutating func readEachRow(_ body: (UnsafePointer<UInt8>) -> Void) throws(ImageError) {
        let pitch = size.width * 3
        let maximumCount = max(1, PictureReader.bufferSize / pitch)
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: min(maximumCount, size.height) * pitch)
        defer { buffer.deallocate() }
        for y in stride(from: 0, to: size.height, by: maximumCount) {
            let count = min(maximumCount, size.height - y)
            try readRows(count, into: buffer)
            for row in 0..<count { body(buffer + row * pitch) }
        }
        try finish()
    }

    /// The size in bytes of the rows decoded at once, which fits the first-level cache.
    private static let bufferSize = 16384

    /// Decodes the whole picture at once, finishes it, and turns it upright.
    mutating func readAll() throws(ImageError) -> RGBImage {
        let count = size.width * size.height * 3
        guard PictureReader.canAllocate(count) else {
            throw ImageError(
                kind: .outOfMemory, reason: "\(codec.rawValue): no memory for \(size.width) x \(size.height) pixels")
        }
        var problem: ImageError?
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let base = buffer.baseAddress else { return }
            do throws(ImageError) {
                try readRows(size.height, into: base)
                initialized = count
            } catch { problem = error }
        }
        if let problem { throw problem }
        try finish()
        return RGBImage(width: size.width, height: size.height, pixels: pixels).turned(from: orientation)
    }

    /// Whether `count` bytes can be allocated. A failed allocation of an array would end the process, so large ones are
    /// tried before with a system call; compilers remove a `malloc` whose memory is not used.
    private static func canAllocate(_ count: Int) -> Bool {
        guard count > 1 << 20 else { return true }
        let memory = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { return false }
        munmap(memory, count)
        return true
    }

    private func check(_ status: CInt) throws(ImageError) {
        if Int(status) != MV_OK { throw codec.problem(status, message) }
    }
}

/// The supported formats.
private enum Codec: String {
    case png = "PNG"
    case jpeg = "JPEG"

    init(for bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else {
            throw FileKind.problem(with: bytes)
        }
    }

    /// The error for a C function's status and message.
    func problem(_ status: CInt, _ message: UnsafePointer<CChar>) -> ImageError {
        let kind: ImageError.Kind
        switch Int(status) {
        case MV_UNSUPPORTED: kind = .unsupported
        case MV_NO_MEMORY: kind = .outOfMemory
        default: kind = .damaged
        }
        return ImageError(kind: kind, reason: "\(rawValue): \(String(cString: message))")
    }
}

extension ImageSize {
    /// The size at a fraction of this size, rounded as libjpeg does.
    fileprivate func divided(by denominator: Int) -> ImageSize {
        ImageSize(height: (height + denominator - 1) / denominator, width: (width + denominator - 1) / denominator)
    }

    /// The largest of 8, 4, 2 and 1 that divides this size without a side below the least.
    fileprivate func largestDenominator(least: ImageSize) -> Int {
        [8, 4, 2].first { height >= least.height * $0 && width >= least.width * $0 } ?? 1
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
