extension Orientation {
    /// What a file says of its orientation: its EXIF data where that has one, otherwise its XMP packet.
    init(exif: UnsafeRawBufferPointer?, xmp: UnsafeRawBufferPointer?) {
        self =
            exif.flatMap { Orientation.recorded(inEXIF: $0) } ?? xmp.flatMap { Orientation.recorded(inXMP: $0) }
            ?? .upright
    }

    /// The orientation in EXIF data: a TIFF structure, perhaps behind one or more `Exif` headers. It is read as Pillow
    /// 13 reads it: by the first directory alone, of several values the first, and with the two headers that mix the
    /// byte orders.
    ///
    /// - Returns: the orientation, upright where there is one that means nothing; nil where there is none.
    static func recorded(inEXIF bytes: UnsafeRawBufferPointer) -> Orientation? {
        var tiff = bytes
        while tiff.starts(with: exifHeader) {
            tiff = UnsafeRawBufferPointer(rebasing: tiff.dropFirst(exifHeader.count))
        }
        guard let directory = TIFFDirectory(tiff) else { return nil }
        return directory.firstNumber(of: 0x0112).map { $0.flatMap(Orientation.init(rawValue:)) ?? .upright }
    }

    /// What EXIF data begins with in a JPEG segment, and at times elsewhere.
    static let exifHeader = Array("Exif\0\0".utf8)
}

/// The first directory of a TIFF structure.
private struct TIFFDirectory {
    private let bytes: UnsafeRawBufferPointer
    private let isLittleEndian: Bool
    private var start = 0

    init?(_ bytes: UnsafeRawBufferPointer) {
        switch [UInt8](bytes.prefix(4)) {
        case [0x49, 0x49, 0x2A, 0], [0x49, 0x49, 0, 0x2A]: isLittleEndian = true
        case [0x4D, 0x4D, 0, 0x2A], [0x4D, 0x4D, 0x2A, 0]: isLittleEndian = false
        default: return nil
        }
        self.bytes = bytes
        guard let start = number(at: 4, bytes: 4) else { return nil }
        self.start = Int(start)
    }

    /// The first value of a tag.
    ///
    /// - Returns: nil if there is no such tag; nil within where its value is no whole number.
    func firstNumber(of tag: UInt64) -> Int?? {
        guard let entries = number(at: start, bytes: 2) else { return nil }
        for index in 0..<Int(entries) {
            let entry = start + 2 + index * 12
            // A directory that is cut short keeps what came before.
            guard entry + 12 <= bytes.count else { return nil }
            guard number(at: entry, bytes: 2) == tag, let type = number(at: entry + 2, bytes: 2),
                let size = TIFFDirectory.sizes[type], let count = number(at: entry + 4, bytes: 4), count > 0
            else { continue }
            var place = entry + 8
            if Int(count) * size > 4 { place = number(at: place, bytes: 4).map { Int($0) } ?? bytes.count }
            guard place <= bytes.count - Int(count) * size else { continue }
            return .some(value(type, at: place))
        }
        return nil
    }

    /// The bytes that a value of each type takes.
    private static let sizes: [UInt64: Int] = [
        1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
    ]

    /// The value at a place. The bytes of types 1, 2 and 7 are no numbers to Pillow.
    private func value(_ type: UInt64, at place: Int) -> Int? {
        switch type {
        case 3, 8: number(at: place, bytes: 2).map { Int($0) }
        case 4, 9, 13: number(at: place, bytes: 4).map { Int($0) }
        case 6: number(at: place, bytes: 1).map { Int($0) }
        case 16: number(at: place, bytes: 8).flatMap { Int(exactly: $0) }
        case 11: number(at: place, bytes: 4).flatMap { Int(exactly: Float(bitPattern: UInt32($0))) }
        case 12: number(at: place, bytes: 8).flatMap { Int(exactly: Double(bitPattern: $0)) }
        case 5, 10:
            switch (number(at: place, bytes: 4), number(at: place + 4, bytes: 4)) {
            case (let numerator?, let denominator?) where denominator > 0 && numerator % denominator == 0:
                Int(numerator / denominator)
            default: nil
            }
        default: nil
        }
    }

    private func number(at offset: Int, bytes count: Int) -> UInt64? {
        guard offset >= 0, offset <= bytes.count - count else { return nil }
        var value: UInt64 = 0
        for index in 0..<count {
            value = value << 8 | UInt64(bytes[offset + (isLittleEndian ? count - 1 - index : index)])
        }
        return value
    }
}
