import Images
import Testing

@Suite struct OrientationTests {
    /// A TIFF structure with one directory entry, little-endian.
    static func exif(type: UInt8 = 3, count: UInt8 = 1, value: UInt8, entries: UInt8 = 1) -> [UInt8] {
        [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, entries, 0]
            + [0x12, 0x01, type, 0, count, 0, 0, 0, value, 0, 0, 0] + [0, 0, 0, 0]
    }

    static func jpeg(exif: [UInt8]) throws -> [UInt8] {
        let file = try Cases.bytes("jpeg", "tiny.jpg")
        let body = Array("Exif".utf8) + [0, 0] + exif
        let length = body.count + 2
        return file[..<2] + [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)] + body + file[2...]
    }

    /// Picture A as stored, then where its first pixel and row go under each orientation.
    @Test func turnsAsEXIFSays() throws {
        var source = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        let expected: [UInt8: (Int, [UInt8])] = [
            1: (3, [1, 2, 3, 4, 5, 6]), 2: (3, [3, 2, 1, 6, 5, 4]), 3: (3, [6, 5, 4, 3, 2, 1]),
            4: (3, [4, 5, 6, 1, 2, 3]), 5: (2, [1, 4, 2, 5, 3, 6]), 6: (2, [4, 1, 5, 2, 6, 3]),
            7: (2, [6, 3, 5, 2, 4, 1]), 8: (2, [3, 6, 2, 5, 1, 4]),
        ]
        for (orientation, (width, gray)) in expected {
            source.extra = [("eXIf", OrientationTests.exif(value: orientation))]
            let image = try RGBImage(decoding: source.encoded())
            #expect(image.width == width)
            #expect(image.pixels == gray.flatMap { [$0, $0, $0] }, "orientation \(orientation)")
        }
    }

    @Test func turnsPicturesOfManyTiles() throws {
        var source = PNGSource(colorType: 2, depth: 8, width: 131, height: 70)
        source.samples = (0..<131 * 70 * 3).map { $0 * 31 % 256 }
        let stored = source.expected(.white)
        source.extra = [("eXIf", OrientationTests.exif(value: 6))]
        let turned = try RGBImage(decoding: source.encoded())
        for y in 0..<131 {
            for x in 0..<70 {
                let from = ((69 - x) * 131 + y) * 3
                #expect(turned.pixels[(y * 70 + x) * 3] == stored.pixels[from])
            }
        }
    }

    @Test func readsNumbersOfEveryWidth() throws {
        for type in [1, 3, 4] as [UInt8] {
            #expect(
                try RGBImage(decoding: OrientationTests.jpeg(exif: OrientationTests.exif(type: type, value: 6))).width
                    == 12)
        }
    }

    @Test func takesHostileEXIFForUpright() throws {
        let good = OrientationTests.exif(value: 6)
        var hostile: [[UInt8]] = [
            [], [0x49], Array("II".utf8), OrientationTests.exif(value: 0), OrientationTests.exif(value: 9),
            OrientationTests.exif(type: 2, value: 6), OrientationTests.exif(count: 2, value: 6),
            [0x49, 0x49, 0x2A, 0, 0, 0, 0, 0], [0x49, 0x49, 0x2A, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            [0x4D, 0x4D, 0, 0x2A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, 0xFF, 0xFF],
        ]
        // A directory cut off within the entry, and one that claims to be its own successor.
        hostile += (0..<22).map { Array(good[..<$0]) }
        for exif in hostile {
            let image = try RGBImage(decoding: OrientationTests.jpeg(exif: exif))
            #expect(image.width == 16, "\(exif)")
        }
        let loop = good.dropLast(4) + [8, 0, 0, 0]
        #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: Array(loop))).width == 12)
        let long = OrientationTests.exif(value: 6, entries: 255)
        #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: long)).width == 12)
    }

    @Test func survivesEveryFlippedBitOfEXIF() throws {
        let good = OrientationTests.exif(value: 6)
        for bit in 0..<good.count * 8 {
            var damaged = good
            damaged[bit / 8] ^= 1 << (bit % 8)
            let image = try RGBImage(decoding: OrientationTests.jpeg(exif: damaged))
            #expect(image.width * image.height == 16 * 12)
        }
    }
}
