import CImageCodecs
import Glibc

/// A decoder of one picture. Its steps are: open (`init`), `start`, read the rows from the top, `finish`.
///
/// It owns the codec's handle. The C functions neither jump out nor print. The bytes must stay valid as long as the
/// reader exists.
struct PictureReader: ~Copyable {
    private let codec: Codec
    private let handle: OpaquePointer
    private let options: DecodingOptions
    /// What the codec says about the picture.
    private var picture: mv_picture
    /// The message of the last failed call.
    private let message: UnsafeMutablePointer<CChar>
    /// The size in the header, of the picture as stored.
    let stored: ImageSize
    /// The size of the decoded picture: smaller than `stored` when decoding at a fraction.
    var size: ImageSize { ImageSize(picture) }
    /// The orientation of the rows, after `start`.
    private(set) var orientation = Orientation.upright
    /// The size in the header, of the upright picture.
    var original: ImageSize { stored.turned(from: orientation) }
    /// Whether all rows must be read at once.
    var isWhole: Bool { picture.is_whole != 0 }
    private let bytes: UnsafeRawBufferPointer

    /// Reads the header.
    ///
    /// - Parameter options: the largest number of pixels, and how transparency is decoded.
    /// - Throws: `ImageError` when the data is not a picture, or too short for its pixels.
    init(_ bytes: UnsafeRawBufferPointer, _ options: DecodingOptions) throws(ImageError) {
        let codec = try Codec(for: bytes)
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(MV_MESSAGE_SIZE))
        message.initialize(repeating: 0, count: Int(MV_MESSAGE_SIZE))
        var picture = mv_picture()
        var handle: OpaquePointer?
        let status = codec.open(bytes, mv_options(options), &handle, &picture, message)
        guard let handle else {
            defer { message.deallocate() }
            throw codec.problem(status, message)
        }
        (self.bytes, self.codec, self.handle, self.options) = (bytes, codec, handle, options)
        (self.picture, self.message) = (picture, message)
        stored = ImageSize(picture)
    }

    deinit {
        codec.close(handle)
        message.deallocate()
    }

    /// Reads everything before the pixels.
    ///
    /// - Parameter least: returns the least size to decode at, given the size of the upright picture; nil to decode in
    ///   full.
    mutating func start(least: ((ImageSize) -> ImageSize)?) throws(ImageError) {
        try PictureReader.check(stored, options)
        orientation = try Orientation(of: picture, codec: codec.name, bytes)
        let smallest = least?(original).turned(from: orientation)
        try check(codec.start(handle, mv_options(options, least: smallest), &picture, message))
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
        try check(codec.readRows(handle, rgb, UInt32(count), message))
    }

    /// Checks the end of the pixels. Only after this is the picture known to be intact.
    mutating func finish() throws(ImageError) { try check(codec.finish(handle, message)) }

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
                kind: .outOfMemory, reason: "\(codec.name): no memory for \(size.width) x \(size.height) pixels")
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

extension ImageSize {
    fileprivate init(_ picture: mv_picture) { self.init(height: Int(picture.height), width: Int(picture.width)) }
}

extension mv_options {
    /// - Parameter least: the least size to decode at, of the picture as stored; nil to decode in full.
    fileprivate init(_ options: DecodingOptions, least: ImageSize? = nil) {
        let alpha =
            switch options.alpha {
            case .white: MV_ALPHA_WHITE
            case .black: MV_ALPHA_BLACK
            case .ignore: MV_ALPHA_IGNORE
            }
        self.init(
            alpha: CInt(alpha), least_width: UInt32(least?.width ?? 0), least_height: UInt32(least?.height ?? 0),
            most_memory: UInt64(options.maximumMemory))
    }
}

extension Orientation {
    /// The orientation of a picture: where its container has it, or as its codec says.
    ///
    /// - Throws: `ImageError` when what may have the orientation is damaged.
    fileprivate init(of picture: mv_picture, codec: String, _ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        switch codec {
        case "PNG": try self.init(png: bytes)
        case "JPEG": self.init(jpeg: bytes)
        default:
            if picture.orientation != MV_NO_ORIENTATION {
                self = Orientation(rawValue: Int(picture.orientation)) ?? .upright
            } else {
                self.init(
                    exif: UnsafeRawBufferPointer(start: picture.exif, count: picture.exif_size),
                    xmp: UnsafeRawBufferPointer(start: picture.xmp, count: picture.xmp_size))
            }
        }
    }
}
