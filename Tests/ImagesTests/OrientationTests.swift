import Images
import Testing

@Suite struct OrientationTests {
    /// A TIFF structure with one directory entry, little-endian.
    static func exif(type: UInt8 = 3, count: UInt8 = 1, value: UInt8 = 1, entries: UInt8 = 1) -> [UInt8] {
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
        for type in [3, 4, 6, 8, 9, 13] as [UInt8] {
            for count in [1, 2, 4] as [UInt8] where count * (type == 3 || type == 8 ? 2 : type == 6 ? 1 : 4) <= 4 {
                let exif = OrientationTests.exif(type: type, count: count, value: 6)
                #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: exif)).width == 12, "type \(type), \(count)")
            }
        }
        // Values that do not fit the entry are elsewhere: unsigned longs, 64 bits, rationals, doubles.
        let values: [(UInt8, UInt8, [UInt8])] = [
            (4, 3, [6, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), (16, 1, [6, 0, 0, 0, 0, 0, 0, 0]),
            (5, 1, [12, 0, 0, 0, 2, 0, 0, 0]), (10, 1, [6, 0, 0, 0, 1, 0, 0, 0]),
            (12, 1, [0, 0, 0, 0, 0, 0, 0x18, 0x40]),
        ]
        for (type, count, value) in values {
            let exif = OrientationTests.exif(type: type, count: count, value: 26) + value
            #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: exif)).width == 12, "type \(type)")
            #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: exif.dropLast())).width == 16, "type \(type)")
        }
    }

    @Test func readsWhatEncodersWriteWrongly() throws {
        let exif = OrientationTests.exif(value: 6)
        let header = Array("Exif\0\0".utf8)
        let big: [UInt8] = [0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]
        let forms: [[UInt8]] = [
            header + exif, header + header + exif, [0x49, 0x49, 0, 0x2A] + exif.dropFirst(4),
            [0x4D, 0x4D, 0x2A, 0] + big, [0x4D, 0x4D, 0, 0x2A] + big,
        ]
        var source = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        for form in forms {
            #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: form)).width == 12, "\(form)")
            source.extra = [("eXIf", form)]
            #expect(try RGBImage(decoding: source.encoded()).width == 2, "\(form)")
        }
        source.extra = [("eXIf", exif + [UInt8](repeating: 0, count: 100_000))]
        #expect(try RGBImage(decoding: source.encoded()).width == 2)
        // Of two entries the first counts, as in Pillow 13.
        let two = exif.prefix(8) + [2, 0] + exif[10..<22] + OrientationTests.exif(value: 1)[10..<22] + [0, 0, 0, 0]
        #expect(try RGBImage(decoding: OrientationTests.jpeg(exif: Array(two))).width == 12)
    }

    @Test func takesHostileEXIFForUpright() throws {
        let good = OrientationTests.exif(value: 6)
        var hostile: [[UInt8]] = [
            [], [0x49], Array("II".utf8), OrientationTests.exif(value: 0), OrientationTests.exif(value: 9),
            OrientationTests.exif(type: 2, value: 6), OrientationTests.exif(type: 1, value: 6),
            OrientationTests.exif(type: 7, value: 6), OrientationTests.exif(count: 0, value: 6),
            OrientationTests.exif(type: 99, value: 6), OrientationTests.exif(count: 200, value: 6),
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
