extension Orientation {
    /// The orientation in a file's EXIF data, otherwise in its XMP packet, otherwise upright.
    init(exif: UnsafeRawBufferPointer?, xmp: UnsafeRawBufferPointer?) {
        self =
            exif.flatMap { Orientation.recorded(inEXIF: $0) } ?? xmp.flatMap { Orientation.recorded(inXMP: $0) }
            ?? .upright
    }

    /// The orientation in EXIF data: a TIFF structure after any number of `Exif` headers. As in Pillow 13, only the
    /// first directory and the first of several values count, and the two headers with mixed byte orders are accepted.
    ///
    /// - Returns: the orientation, upright if its value is invalid; nil if there is none.
    static func recorded(inEXIF bytes: UnsafeRawBufferPointer) -> Orientation? {
        var tiff = bytes
        while tiff.starts(with: exifHeader) {
            tiff = UnsafeRawBufferPointer(rebasing: tiff.dropFirst(exifHeader.count))
        }
        guard let directory = TIFFDirectory(tiff) else { return nil }
        return directory.firstNumber(of: 0x0112).map { $0.flatMap(Orientation.init(rawValue:)) ?? .upright }
    }

    /// The header of EXIF data in a JPEG segment, and sometimes elsewhere.
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
    /// - Returns: nil if there is no such tag; an inner nil if its value is not a whole number.
    func firstNumber(of tag: UInt64) -> Int?? {
        guard let entries = number(at: start, bytes: 2) else { return nil }
        for index in 0..<Int(entries) {
            let entry = start + 2 + index * 12
            // The entries before the end of a truncated directory count.
            guard entry + 12 <= bytes.count else { return nil }
            guard number(at: entry, bytes: 2) == tag, let type = number(at: entry + 2, bytes: 2),
                let size = TIFFDirectory.sizes[type], let count = number(at: entry + 4, bytes: 4), count > 0
            else { continue }
            var offset = entry + 8
            if Int(count) * size > 4 { offset = number(at: offset, bytes: 4).map { Int($0) } ?? bytes.count }
            guard offset <= bytes.count - Int(count) * size else { continue }
            return .some(value(type, at: offset))
        }
        return nil
    }

    /// The size in bytes of a value of each type.
    private static let sizes: [UInt64: Int] = [
        1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
    ]

    /// The value at an offset. Pillow does not take types 1, 2 and 7 for numbers.
    private func value(_ type: UInt64, at offset: Int) -> Int? {
        switch type {
        case 3, 8: number(at: offset, bytes: 2).map { Int($0) }
        case 4, 9, 13: number(at: offset, bytes: 4).map { Int($0) }
        case 6: number(at: offset, bytes: 1).map { Int($0) }
        case 16: number(at: offset, bytes: 8).flatMap { Int(exactly: $0) }
        case 11: number(at: offset, bytes: 4).flatMap { Int(exactly: Float(bitPattern: UInt32($0))) }
        case 12: number(at: offset, bytes: 8).flatMap { Int(exactly: Double(bitPattern: $0)) }
        case 5, 10:
            switch (number(at: offset, bytes: 4), number(at: offset + 4, bytes: 4)) {
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

extension Orientation {
    /// The orientation in an XMP packet: `tiff:Orientation`, as an attribute or an element, with any prefix for its
    /// namespace.
    ///
    /// The packet is not parsed as XML: as in Pillow, the first value found counts.
    ///
    /// - Returns: the orientation, upright if its value is invalid; nil if there is none.
    static func recorded(inXMP bytes: UnsafeRawBufferPointer) -> Orientation? {
        let text = XMPText(bytes: bytes)
        var prefixes: [[UInt8]]?
        var position = 0
        while let name = text.next(Array("Orientation".utf8), from: &position) {
            guard let prefix = text.prefix(before: name), let digit = text.digit(from: position) else { continue }
            if prefix == Array("tiff".utf8) { return Orientation(rawValue: digit) ?? .upright }
            let tiffPrefixes = prefixes ?? text.prefixes(of: Array("http://ns.adobe.com/tiff/1.0/".utf8))
            prefixes = tiffPrefixes
            if tiffPrefixes.contains(prefix) { return Orientation(rawValue: digit) ?? .upright }
        }
        return nil
    }
}

/// A search for a few elements of XML in bytes.
private struct XMPText {
    let bytes: UnsafeRawBufferPointer

    /// The next offset of the word; the position is moved behind it.
    func next(_ word: [UInt8], from position: inout Int) -> Int? {
        while position <= bytes.count - word.count {
            if bytes[position] == word[0], bytes[position..<position + word.count].elementsEqual(word) {
                position += word.count
                return position - word.count
            }
            position += 1
        }
        return nil
    }

    /// The name before a colon that ends at an offset.
    func prefix(before offset: Int) -> [UInt8]? {
        guard offset > 0, bytes[offset - 1] == UInt8(ascii: ":") else { return nil }
        var start = offset - 1
        while start > 0, offset - start < 100, XMPText.isNameByte(bytes[start - 1]) { start -= 1 }
        return [UInt8](bytes[start..<offset - 1])
    }

    /// The prefixes declared for a namespace, at most eight.
    func prefixes(of namespace: [UInt8]) -> [[UInt8]] {
        var prefixes: [[UInt8]] = []
        var position = 0
        while prefixes.count < 8, let offset = next(namespace, from: &position) {
            var end = offset - 1
            guard end > 0, XMPText.isQuote(bytes[end]) else { continue }
            while end > 0, XMPText.isSpace(bytes[end - 1]) { end -= 1 }
            guard end > 0, bytes[end - 1] == UInt8(ascii: "=") else { continue }
            end -= 1
            while end > 0, XMPText.isSpace(bytes[end - 1]) { end -= 1 }
            var start = end
            while start > 0, end - start < 100, XMPText.isNameByte(bytes[start - 1]) { start -= 1 }
            if prefix(before: start) == Array("xmlns".utf8) {
                prefixes.append([UInt8](bytes[start..<end]))
            }
        }
        return prefixes
    }

    /// The first digit of the value of an attribute or element whose name ends at an offset.
    func digit(from offset: Int) -> Int? {
        var position = skippingSpace(offset)
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "="):
            position = skippingSpace(position + 1)
            guard position < bytes.count, XMPText.isQuote(bytes[position]) else { return nil }
        case UInt8(ascii: ">"): break
        default:
            // An element may have attributes.
            guard position > offset, let end = bytes[position...].prefix(1000).firstIndex(of: UInt8(ascii: ">")),
                bytes[end - 1] != UInt8(ascii: "/")
            else { return nil }
            position = end
        }
        position = skippingSpace(position + 1)
        guard position < bytes.count, case let digit = bytes[position] &- UInt8(ascii: "0"), digit < 10 else {
            return nil
        }
        return Int(digit)
    }

    private func skippingSpace(_ offset: Int) -> Int {
        var position = offset
        while position < bytes.count, position - offset < 1000, XMPText.isSpace(bytes[position]) { position += 1 }
        return position
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), 0x80...0xFF:
            true
        default: false
        }
    }
}
