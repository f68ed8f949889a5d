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

extension Orientation {
    /// The orientation in an XMP packet: `tiff:Orientation`, as an attribute or as an element, under whatever prefix
    /// its namespace has.
    ///
    /// The packet is not parsed as XML: as in Pillow, the first place that has a value counts.
    ///
    /// - Returns: the orientation, upright where there is one that means nothing; nil where there is none.
    static func recorded(inXMP bytes: UnsafeRawBufferPointer) -> Orientation? {
        let text = XMPText(bytes: bytes)
        var prefixes: [[UInt8]]?
        var position = 0
        while let name = text.next(Array("Orientation".utf8), from: &position) {
            guard let prefix = text.prefix(before: name), let digit = text.digit(from: position) else { continue }
            if prefix == Array("tiff".utf8) { return Orientation(rawValue: digit) ?? .upright }
            let known = prefixes ?? text.prefixes(of: Array("http://ns.adobe.com/tiff/1.0/".utf8))
            prefixes = known
            if known.contains(prefix) { return Orientation(rawValue: digit) ?? .upright }
        }
        return nil
    }
}

/// Bytes in which a few things of XML are found.
private struct XMPText {
    let bytes: UnsafeRawBufferPointer

    /// Where the word stands next; the position is moved behind it.
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

    /// The name before the colon before a place.
    func prefix(before place: Int) -> [UInt8]? {
        guard place > 0, bytes[place - 1] == UInt8(ascii: ":") else { return nil }
        var start = place - 1
        while start > 0, place - start < 100, XMPText.isNameByte(bytes[start - 1]) { start -= 1 }
        return [UInt8](bytes[start..<place - 1])
    }

    /// The prefixes that are declared for a namespace, at most eight.
    func prefixes(of namespace: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var position = 0
        while found.count < 8, let place = next(namespace, from: &position) {
            var end = place - 1
            guard end > 0, XMPText.isQuote(bytes[end]) else { continue }
            while end > 0, XMPText.isSpace(bytes[end - 1]) { end -= 1 }
            guard end > 0, bytes[end - 1] == UInt8(ascii: "=") else { continue }
            end -= 1
            while end > 0, XMPText.isSpace(bytes[end - 1]) { end -= 1 }
            var start = end
            while start > 0, end - start < 100, XMPText.isNameByte(bytes[start - 1]) { start -= 1 }
            if prefix(before: start) == Array("xmlns".utf8) { found.append([UInt8](bytes[start..<end])) }
        }
        return found
    }

    /// The first digit of the value of an attribute or element whose name ends at a place.
    func digit(from place: Int) -> Int? {
        var position = skippingSpace(place)
        guard position < bytes.count else { return nil }
        switch bytes[position] {
        case UInt8(ascii: "="):
            position = skippingSpace(position + 1)
            guard position < bytes.count, XMPText.isQuote(bytes[position]) else { return nil }
        case UInt8(ascii: ">"): break
        default:
            // An element may have attributes.
            guard position > place, let end = bytes[position...].prefix(1000).firstIndex(of: UInt8(ascii: ">")),
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

    private func skippingSpace(_ place: Int) -> Int {
        var position = place
        while position < bytes.count, position - place < 1000, XMPText.isSpace(bytes[position]) { position += 1 }
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
