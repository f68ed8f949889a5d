extension Orientation {
    /// The orientation of a JPEG file by the APP1 segments before its first scan: EXIF data, which may go on from one
    /// segment to the next, or the last XMP packet.
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

    /// What an XMP packet begins with in a JPEG segment.
    static let xmpHeader = Array("http://ns.adobe.com/xap/1.0/\0".utf8)

    /// The contents of the APP1 segments before the first scan.
    private static func metadata(ofJPEG bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer] {
        var found: [UnsafeRawBufferPointer] = []
        var position = 2
        while let marker = nextMarker(bytes, &position) {
            switch marker {
            case 0x00, 0x01, 0xD0...0xD8: continue
            case 0xD9, 0xDA: return found
            default: break
            }
            guard position + 2 <= bytes.count else { return found }
            let length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
            guard length >= 2, position + length <= bytes.count else { return found }
            if marker == 0xE1 {
                found.append(UnsafeRawBufferPointer(rebasing: bytes[position + 2..<position + length]))
            }
            position += length
        }
        return found
    }

    private static func nextMarker(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt8? {
        while position < bytes.count, bytes[position] != 0xFF { position += 1 }
        while position < bytes.count, bytes[position] == 0xFF { position += 1 }
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }
}
