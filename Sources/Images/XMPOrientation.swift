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
