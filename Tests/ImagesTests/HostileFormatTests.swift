import TestSupport
import Testing

@testable import Images

/// WebP and TIFF files made to do harm: each is refused, or decoded within bounds.
@Suite(.enabled(if: Formats.areBuiltIn("WebP", "TIFF"))) struct HostileFormatTests {
    private static func little(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func webP(_ chunks: [UInt8]) -> [UInt8] {
        Array("RIFF".utf8) + little(chunks.count + 4, 4) + Array("WEBP".utf8) + chunks
    }

    private static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
        Array(name.utf8) + little(content.count, 4) + content + (content.count % 2 == 1 ? [0] : [])
    }

    @Test func canvasesOfAbsurdSizesAreRefused() throws {
        let still = try Cases.bytes("webp", "tiny.webp").dropFirst(12)
        for (width, height) in [(1 << 24, 1 << 24), (1 << 24, 1), (60_000, 60_000), (65_535, 65_535)] {
            let size = Self.little(width - 1, 3) + Self.little(height - 1, 3)
            for flags: UInt8 in [0, 2, 0x10] {
                let file = Self.webP(Self.chunk("VP8X", [flags, 0, 0, 0] + size) + still)
                #expect(failure(file) != nil, "\(width) x \(height), flags \(flags)")
            }
        }
        // A frame that lies outside its canvas.
        let frame = Self.little(3, 3) + Self.little(0, 3) + Self.little(8, 3) + Self.little(6, 3) + [0, 0, 0, 0]
        let canvas: [UInt8] = [2, 0, 0, 0] + Self.little(8, 3) + Self.little(6, 3)
        let chunks =
            Self.chunk("VP8X", canvas) + Self.chunk("ANIM", [0, 0, 0, 0, 0, 0]) + Self.chunk("ANMF", frame + still)
        #expect(failure(Self.webP(chunks)) != nil)
    }

    /// A lossless file of a few bytes may stand for 16384 x 16384 pixels of one colour.
    @Test func aFlatWebPIsBoundByTheLimitOfPixels() throws {
        var file = try Cases.bytes("webp", "tiny_lossless.webp")
        let start = try #require((0..<file.count - 4).first { Array(file[$0..<$0 + 4]) == Array("VP8L".utf8) }) + 9
        file.replaceSubrange(start..<start + 4, with: [0xFF, 0xFF, 0xFF, 0x0F])
        #expect(failure(file)?.reason == "16384 x 16384 pixels exceed the limit of 200000000")
    }

    @Test func aSmallTIFFOfAHugePictureIsRefused() throws {
        for (tag, values) in [(256, 60_000), (257, 60_000), (256, 1 << 31 - 1), (257, 1 << 31 - 1)] {
            for compression: UInt8 in [1, 5, 8] {
                var source = TIFFSource(photometric: 1, width: 40, height: 30)
                source.more = [(305, 1, [Int](repeating: 65, count: 200))]
                let file = Self.changed(
                    Self.changed(source.encoded(), tag: tag, to: values), tag: 259, to: Int(compression))
                #expect(failure(file) != nil, "tag \(tag) = \(values), compression \(compression)")
            }
        }
        var large = TIFFSource(photometric: 1, width: 40, height: 30).encoded()
        for tag in [256, 257] { large = Self.changed(large, tag: tag, to: 14_000) }
        #expect(
            failure(large)?.reason.hasPrefix("TIFF: premature end of data: 14000 x 14000 pixels cannot be in") == true)
    }

    /// A directory entry with another value, as a number of 32 bits.
    private static func changed(_ file: [UInt8], tag: Int, to value: Int) -> [UInt8] {
        let start = Int(file[4]) | Int(file[5]) << 8 | Int(file[6]) << 16
        let count = Int(file[start]) | Int(file[start + 1]) << 8
        var file = file
        for entry in (0..<count).map({ start + 2 + $0 * 12 }) where Int(file[entry]) | Int(file[entry + 1]) << 8 == tag
        {
            file[entry + 2] = 4
            file.replaceSubrange(entry + 8..<entry + 12, with: little(value, 4))
        }
        return file
    }

    @Test func tilesOfAbsurdSizesAreRefused() {
        var file = TIFFSource(tile: 16).encoded()
        for tag in [322, 323] { file = Self.changed(file, tag: tag, to: 60_000) }
        let error = failure(file)
        #expect(error?.kind == .outOfMemory && error?.reason.hasPrefix("TIFF: tiles of ") == true)
        for tag in [322, 323] {
            for value in [0, 16, 1 << 31, 1 << 32 - 1] {
                #expect(failure(Self.changed(file, tag: tag, to: value)) != nil, "tag \(tag) = \(value)")
            }
        }
    }

    @Test func directoriesThatLeadAnywhereAreHarmless() throws {
        let source = TIFFSource()
        let file = source.encoded()
        let start = Int(file[4]) | Int(file[5]) << 8
        let next = start + 2 + Int(file[start]) * 12
        // To itself, outside, and to the header.
        for offset in [start, 1 << 31, file.count, 1, 0xFFFF_FFFF] {
            var other = file
            other.replaceSubrange(next..<next + 4, with: Self.little(offset, 4))
            for options in [DecodingOptions(), DecodingOptions(isFast: true)] {
                #expect(try RGBImage(decoding: other, options: options) == source.expected(.white))
            }
        }
        for offset in [0, 4, file.count - 1, file.count, 1 << 31] {
            var other = file
            other.replaceSubrange(4..<8, with: Self.little(offset, 4))
            #expect(failure(other) != nil)
        }
    }

    /// libtiff reads all tags, also unknown ones: many that share their bytes would take any amount of memory.
    @Test func tagsThatShareTheirBytesAreRefused() {
        var file: [UInt8] = [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0]
        file += Self.little(45_000, 2)
        for tag in 0..<45_000 { file += Self.little(tag, 2) + [1, 0] + Self.little(500_000, 4) + Self.little(8, 4) }
        #expect(failure(file + [0, 0, 0, 0])?.reason == "TIFF: tags have more data than the file")
    }

    @Test func webPIsScaledForFastDecoding() throws {
        for (name, alpha) in [
            ("lossy", false), ("lossless", false), ("alpha_lossless", true), ("animated_part", false),
        ] {
            let file = try Cases.bytes("webp", "\(name).webp")
            let whole = try RGBImage(decoding: file)
            let settings = try preprocessing(
                #"{"image_processor_type": "ViTImageProcessor", "size": {"height": 5, "width": 6}}"#)
            let decoded = try file.withUnsafeBytes {
                try settings.picture(decoding: $0, options: DecodingOptions(isFast: true))
            }
            #expect(decoded.original == whole.size)
            // A frame that covers a part of the canvas is not scaled.
            guard name != "animated_part" else {
                #expect(decoded.picture == whole)
                continue
            }
            #expect(decoded.picture.size == ImageSize(height: 15, width: 20), "\(name)")
            let box = whole.resized(to: decoded.picture.size, filter: .box)
            let sum = zip(decoded.picture.pixels, box.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
            #expect(Double(sum) / Double(box.pixels.count) < (alpha ? 12 : 6), "\(name)")
        }
    }
}
