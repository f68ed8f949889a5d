import CImageCodecs

extension Orientation {
    /// The orientation in the chunks of a PNG file, before or after the pixels: eXIf, ImageMagick's raw profiles of
    /// EXIF data as text, or an XMP packet. Of several chunks of one kind the last counts, as in Pillow.
    ///
    /// - Throws: `ImageError` when such a chunk has a wrong checksum, or more than `PNGText.maximumBytes` when
    ///   unpacked.
    init(png bytes: UnsafeRawBufferPointer) throws(ImageError) {
        let chunks = try PNGMetadata(bytes)
        var exif = chunks.exif.map { [UInt8]($0) }
        if exif == nil { exif = try chunks.rawEXIF?.profile() }
        var xmp = try chunks.xmp?.unpacked()
        if exif == nil || xmp == nil {
            for text in chunks.rawProfiles.reversed() {
                guard let profile = try text.profile() else { continue }
                if profile.starts(with: Orientation.xmpHeader) {
                    xmp = xmp ?? Array(profile.dropFirst(Orientation.xmpHeader.count))
                } else if profile.starts(with: Orientation.exifHeader) {
                    exif = exif ?? profile
                } else {
                    xmp = xmp ?? profile
                }
            }
        }
        self = (exif ?? []).withUnsafeBytes { exif in (xmp ?? []).withUnsafeBytes { Orientation(exif: exif, xmp: $0) } }
    }
}

/// The chunks of a PNG file that may have its orientation.
private struct PNGMetadata {
    /// EXIF data: an eXIf chunk, or text named "exif".
    private(set) var exif: UnsafeRawBufferPointer?
    /// EXIF data in hexadecimal digits.
    private(set) var rawEXIF: PNGText?
    private(set) var xmp: PNGText?
    /// Other metadata in hexadecimal digits: the last few.
    private(set) var rawProfiles: [PNGText] = []

    init(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        var position = 8
        while bytes.count - position >= 12 {
            let length = Int(PNGMetadata.number(bytes, at: position))
            guard length <= bytes.count - position - 12 else { return }
            let chunk = UnsafeRawBufferPointer(rebasing: bytes[position + 4..<position + 8 + length])
            if chunk.starts(with: Array("IEND".utf8)) { return }
            if note(chunk) {
                let checksum = mv_crc32(chunk.bindMemory(to: UInt8.self).baseAddress, chunk.count)
                guard checksum == PNGMetadata.number(bytes, at: position + 8 + length) else {
                    let name = String(decoding: chunk.prefix(4), as: UTF8.self)
                    throw ImageError(kind: .damaged, reason: "PNG: \(name): CRC error")
                }
            }
            position += 12 + length
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, at position: Int) -> UInt32 {
        bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// Takes a chunk, including its name. Returns whether it may have the orientation.
    private mutating func note(_ chunk: UnsafeRawBufferPointer) -> Bool {
        let content = UnsafeRawBufferPointer(rebasing: chunk.dropFirst(4))
        if chunk.starts(with: Array("eXIf".utf8)) {
            exif = content
            return true
        }
        guard let text = PNGText(chunkName: chunk.prefix(4), content) else { return false }
        switch text.keyword {
        case "exif":
            guard text.isPlain else { return false }
            exif = text.data
        case "XML:com.adobe.xmp": xmp = text
        case "Raw profile type exif": rawEXIF = text
        case "Raw profile type APP1", "Raw profile type xmp":
            rawProfiles.append(text)
            if rawProfiles.count > 4 { rawProfiles.removeFirst() }
        default: return false
        }
        return true
    }
}

/// A chunk of text in a PNG file: tEXt, zTXt or iTXt.
private struct PNGText {
    let keyword: String
    /// The text as stored.
    let data: UnsafeRawBufferPointer
    /// Whether it is stored uncompressed.
    var isPlain: Bool { !isCompressed }
    private let isCompressed: Bool

    /// The largest size in bytes of unpacked text with the orientation; Pillow allows 1 MiB.
    static let maximumBytes = 16 << 20

    init?(chunkName: Slice<UnsafeRawBufferPointer>, _ content: UnsafeRawBufferPointer) {
        guard let end = content.prefix(80).firstIndex(of: 0) else { return nil }
        keyword = String(decoding: content[..<end], as: UTF8.self)
        var rest = content[(end + 1)...]
        switch String(decoding: chunkName, as: UTF8.self) {
        case "tEXt": isCompressed = false
        case "zTXt":
            guard rest.popFirst() == 0 else { return nil }
            isCompressed = true
        case "iTXt":
            guard let flag = rest.popFirst(), let method = rest.popFirst(), flag == 0 || method == 0 else { return nil }
            isCompressed = flag != 0
            // The language, and the translated keyword.
            for _ in 0..<2 {
                guard let end = rest.firstIndex(of: 0) else { return nil }
                rest = rest[(end + 1)...]
            }
        default: return nil
        }
        data = UnsafeRawBufferPointer(rebasing: rest)
    }

    /// The text; nil if it cannot be unpacked.
    func unpacked() throws(ImageError) -> [UInt8]? {
        guard isCompressed else { return [UInt8](data) }
        var status = CInt(MV_OK)
        // Deflate expands at most 1032-fold.
        let capacity = min(PNGText.maximumBytes, data.count * 1032 + 1)
        let text = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, initialized in
            status = mv_inflate(
                data.bindMemory(to: UInt8.self).baseAddress, data.count, buffer.baseAddress, capacity, &initialized)
        }
        switch Int(status) {
        case MV_OK: return text
        case MV_DAMAGED: return nil
        case MV_NO_MEMORY: throw ImageError(kind: .outOfMemory, reason: "PNG: out of memory")
        default:
            throw ImageError(
                kind: .unsupported,
                reason: "PNG: text \"\(keyword)\" of more than \(PNGText.maximumBytes) bytes when unpacked")
        }
    }

    /// The bytes of a raw profile: a name, a number of bytes, and that many bytes in hexadecimal digits, between white
    /// space.
    func profile() throws(ImageError) -> [UInt8]? {
        guard let text = try unpacked() else { return nil }
        var rest = text[...].drop(while: PNGText.isSpace)
        // The name may have spaces: it is a line.
        guard let line = rest.firstIndex(of: 0x0A) else { return nil }
        rest = rest[line...].drop(while: PNGText.isSpace)
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard let count = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in rest.dropFirst(digits.count) where !PNGText.isSpace(character) {
            guard bytes.count < count, let digit = Character(UnicodeScalar(character)).hexDigitValue else { break }
            if let first = high { bytes.append(first << 4 | UInt8(digit)) }
            high = high == nil ? UInt8(digit) : nil
        }
        return bytes
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

extension Orientation {
    /// The orientation in the APP1 segments before the first scan of a JPEG file: EXIF data, which may continue in the
    /// next segments, or the last XMP packet.
    init(jpeg bytes: UnsafeRawBufferPointer) {
        var exif: [UnsafeRawBufferPointer] = []
        var xmp: UnsafeRawBufferPointer?
        for segment in Orientation.metadata(ofJPEG: bytes) {
            if segment.starts(with: Orientation.exifHeader) {
                let header = exif.isEmpty ? 0 : Orientation.exifHeader.count
                exif.append(UnsafeRawBufferPointer(rebasing: segment.dropFirst(header)))
            } else if segment.starts(with: Orientation.xmpHeader) {
                xmp = UnsafeRawBufferPointer(rebasing: segment.dropFirst(Orientation.xmpHeader.count))
            }
        }
        if exif.count > 1 {
            let joined = exif.flatMap { $0 }
            self = joined.withUnsafeBytes { Orientation(exif: $0, xmp: xmp) }
        } else {
            self.init(exif: exif.first, xmp: xmp)
        }
    }

    /// The header of an XMP packet in a JPEG segment.
    static let xmpHeader = Array("http://ns.adobe.com/xap/1.0/\0".utf8)

    /// The contents of the APP1 segments before the first scan.
    private static func metadata(ofJPEG bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
        var segments: [UnsafeRawBufferPointer] = []
        var position = 2
        while let marker = nextMarker(bytes, &position) {
            switch marker {
            case 0x00, 0x01, 0xD0...0xD8: continue
            case 0xD9, 0xDA: return segments
            default: break
            }
            guard position + 2 <= bytes.count else { return segments }
            let length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
            guard length >= 2, position + length <= bytes.count else { return segments }
            if marker == 0xE1 {
                segments.append(UnsafeRawBufferPointer(rebasing: bytes[position + 2..<position + length]))
            }
            position += length
        }
        return segments
    }

    private static func nextMarker(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt8? {
        while position < bytes.count, bytes[position] != 0xFF { position += 1 }
        while position < bytes.count, bytes[position] == 0xFF { position += 1 }
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }
}
