import CImageCodecs
import Glibc

/// A PNG or JPEG picture that is being decoded: it is opened, started, its rows are read from the top, and it is
/// finished.
///
/// It owns the codec's handle. The C functions behind it never jump out and never print. The bytes have to stay where
/// they are while it lives.
struct PictureReader: ~Copyable {
    private let codec: Codec
    private let handle: OpaquePointer
    /// Why a call failed, as text.
    private let message: UnsafeMutablePointer<CChar>
    /// The size in the header, of the picture as it is stored.
    let stored: ImageSize
    /// The size of what is read: smaller than `stored` if a fraction has been asked for.
    private(set) var size: ImageSize
    /// How what is read has to be turned. That of a PNG is known when it has been started.
    private(set) var orientation: Orientation
    /// The size in the header, of the upright picture.
    var original: ImageSize { stored.turned(from: orientation) }
    /// Whether all rows have to be read at once.
    private(set) var isWhole = false
    private let bytes: UnsafeRawBufferPointer

    /// Reads the header.
    ///
    /// - Throws: `ImageError` when the data is no picture, or too short for its pixels.
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

    /// Reads what stands before the pixels.
    ///
    /// - Parameters:
    ///   - options: how many pixels are allowed, and what becomes of transparency.
    ///   - least: given the size of the upright picture, how small a smaller version of it may be; nil if only the
    ///     whole will do.
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

    /// Decodes the next rows, as they are stored, to `rgb`, which holds `count * size.width * 3` bytes.
    mutating func readRows(_ count: Int, into rgb: UnsafeMutablePointer<UInt8>) throws(ImageError) {
        switch codec {
        case .png: try check(mv_png_read_rows(handle, rgb, UInt32(count), message))
        case .jpeg: try check(mv_jpeg_read_rows(handle, rgb, UInt32(count), message))
        }
    }

    /// Checks that the pixels have ended as they should. Only after this is the picture known to be sound.
    mutating func finish() throws(ImageError) {
        switch codec {
        case .png: try check(mv_png_finish(handle, message))
        case .jpeg: try check(mv_jpeg_finish(handle, message))
        }
    }

    /// Decodes the picture row by row, as it is stored, and finishes it; there is memory for a few rows only.
    ///
    /// - Parameter body: called with every row, from the top. What it has made of them counts only if nothing is
    ///   thrown.
    mutating func readEachRow(_ body: (UnsafePointer<UInt8>) -> Void) throws(ImageError) {
        let pitch = size.width * 3
        let most = max(1, PictureReader.bufferSize / pitch)
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: min(most, size.height) * pitch)
        defer { buffer.deallocate() }
        for y in stride(from: 0, to: size.height, by: most) {
            let count = min(most, size.height - y)
            try readRows(count, into: buffer)
            for row in 0..<count { body(buffer + row * pitch) }
        }
        try finish()
    }

    /// About how many bytes of rows are decoded before they are used: they are to stay in the processor's first cache.
    private static let bufferSize = 16384

    /// Decodes the whole picture at once, finishes it, and puts it upright.
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

    /// Whether there is memory for so many bytes. An array that gets none ends the process, so large ones are tried
    /// before, by a system call: compilers leave out a `malloc` whose memory is not used.
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

/// The formats that are decoded.
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

    /// A C function's status and message as an error.
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
    /// The size of a version at a fraction of this size, as libjpeg rounds it.
    fileprivate func divided(by denominator: Int) -> ImageSize {
        ImageSize(height: (height + denominator - 1) / denominator, width: (width + denominator - 1) / denominator)
    }

    /// The largest of 8, 4, 2 and 1 by which this size can be divided without a side below the least.
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
