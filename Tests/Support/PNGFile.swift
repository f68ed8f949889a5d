/// The parts of PNG files, and a plain RGB picture made of them. Nothing is compressed.
package enum PNGFile {
    package static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// An 8-bit RGB picture.
    package static func rgb(
        _ width: Int, _ height: Int, _ color: (_ x: Int, _ y: Int) -> (UInt8, UInt8, UInt8)
    ) -> [UInt8] {
        var rows: [UInt8] = []
        for y in 0..<height {
            rows.append(0)  // no filter
            for x in 0..<width {
                let (red, green, blue) = color(x, y)
                rows += [red, green, blue]
            }
        }
        return signature + header(width, height, depth: 8, colorType: 2) + chunk("IDAT", stored(rows))
            + chunk("IEND", [])
    }

    package static func header(
        _ width: Int, _ height: Int, depth: Int, colorType: UInt8, isInterlaced: Bool = false
    ) -> [UInt8] {
        let size = bigEndian(UInt32(width)) + bigEndian(UInt32(height))
        return chunk("IHDR", size + [UInt8(depth), colorType, 0, 0, isInterlaced ? 1 : 0])
    }

    package static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
        let body = Array(name.utf8) + content
        return bigEndian(UInt32(content.count)) + body + bigEndian(crc32(body))
    }

    /// Data as a zlib stream of stored blocks.
    package static func stored(_ data: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        for start in stride(from: 0, to: max(data.count, 1), by: 65535) {
            let block = data[start..<min(start + 65535, data.count)]
            let length = UInt16(block.count)
            stream.append(start + 65535 >= data.count ? 1 : 0)
            for value in [length, ~length] { stream += [UInt8(value & 255), UInt8(value >> 8)] }
            stream += block
        }
        return stream + bigEndian(adler32(data))
    }

    package static func bigEndian(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var crc = ~UInt32(0)
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }

    private static func adler32(_ bytes: [UInt8]) -> UInt32 {
        var (a, b) = (UInt32(1), UInt32(0))
        for byte in bytes {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        return b << 16 | a
    }
}
