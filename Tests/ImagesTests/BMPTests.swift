import Foundation
import Images
import Tensors
import TestSupport
import Testing

@Suite struct BMPTests {
    @Test(arguments: BMPSource.all.indices) func decodesEveryKind(_ index: Int) throws {
        let source = BMPSource.all[index]
        let file = source.encoded()
        for policy in AlphaPolicy.allCases {
            let image = try RGBImage(decoding: file, options: DecodingOptions(alpha: policy))
            #expect(image == source.expected(policy), "\(source), alpha \(policy)")
        }
    }

    @Test(arguments: [1, 2, 4, 8, 16, 24, 32]) func decodesEveryWidth(_ bits: Int) throws {
        var generator = SplitMix64(state: 5)
        for width in 1...17 {
            var source = BMPSource(bits: bits, width: width, height: 2)
            source.fill(&generator)
            #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white), "\(width) pixels")
        }
    }

    /// What Pillow makes of the same files, bit for bit.
    @Test(arguments: Cases.list("bmp", "bmp")) func decodesAsPillowDoes(_ url: URL) throws {
        let name = url.deletingPathExtension().lastPathComponent
        let expected = try #require(Cases.list("bmp", "rgb").first { try Cases.parts($0).name == name })
        #expect(try RGBImage(decoding: Cases.bytes(url)) == Cases.picture(expected))
    }

    @Test(arguments: [4, 8]) func decodesRunLengths(_ bits: Int) throws {
        var source = BMPSource.compressed(bits)
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
        // From the top, as Pillow accepts it.
        source.isTopDown = true
        let rows = (0..<source.height).map { Array(source.values[$0 * source.width..<($0 + 1) * source.width]) }
        source.values = rows.reversed().flatMap { $0 }
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
    }

    @Test func runsAreCutAtTheEndOfARow() throws {
        var source = BMPSource.compressed(8)
        (source.width, source.height) = (3, 2)
        source.values = [2, 2, 2, 1, 1, 1]
        source.data = [200, 1, 5, 1, 0, 0, 4, 2, 0, 1]
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
    }

    /// A picture that ends early, as the format allows: the rest has the first colour.
    @Test func whatRunLengthsLeaveOutHasTheFirstColor() throws {
        for data in [[0, 1], [0, 0, 0, 1], [1, 0, 0, 2, 0, 5, 0, 1], [0, 2, 0, 6]] as [[UInt8]] {
            var source = BMPSource.compressed(8)
            source.data = data
            source.values = source.values.map { _ in 0 }
            #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white), "\(data)")
        }
    }

    @Test func runLengthsThatLeadOutsideAreDamage() {
        let damage: [([UInt8], String)] = [
            ([9, 7, 0, 4, 1, 2, 3, 4], "RLE: pixels beyond the end of a row"),
            ([0, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "RLE: pixels beyond the end of a row"),
            ([0, 2, 10, 0, 0, 1], "RLE: a jump out of the picture"),
            ([0, 2, 0, 7, 0, 1], "RLE: a jump out of the picture"),
            ([0, 2, 255, 255, 0, 1], "RLE: a jump out of the picture"),
            ([9, 7, 0, 0], "premature end of data"), ([9], "premature end of data"), ([], "premature end of data"),
            ([0, 2, 1], "premature end of data"), ([0, 7, 1, 2, 3], "premature end of data"),
            // Jumps that lead nowhere, forever.
            ([UInt8](repeating: 0, count: 4).flatMap { _ in [0, 2, 0, 0] as [UInt8] }, "premature end of data"),
        ]
        for (data, reason) in damage {
            var source = BMPSource.compressed(8)
            source.data = data
            #expect(failure(source.encoded()) == ImageError(kind: .damaged, reason: "BMP: \(reason)"), "\(data)")
        }
    }

    /// Padding of the last row is missing in files of several writers.
    @Test func thePaddingOfTheLastRowIsNotNeeded() throws {
        for source in BMPSource.all {
            let file = source.encoded()
            let padding = (source.rowBytes + 3) / 4 * 4 - source.rowBytes
            #expect(try RGBImage(decoding: file.dropLast(padding) + []) == source.expected(.white), "\(source)")
            #expect(failure(file.dropLast(padding + 1) + [])?.kind == .damaged, "\(source)")
            #expect(try RGBImage(decoding: file + [1, 2, 3]) == source.expected(.white), "\(source)")
        }
    }

    private static let cut: [BMPSource] = [
        BMPSource.all[0], BMPSource.all.first { $0.bits == 8 && $0.header == 40 } ?? BMPSource.all[0],
        BMPSource.all.first { $0.masks.count == 4 && $0.header == 40 } ?? BMPSource.all[0],
        BMPSource.all.first { $0.masks.count == 4 && $0.header == 124 } ?? BMPSource.all[0],
        .compressed(4), .compressed(8),
    ]

    @Test(arguments: cut.indices) func refusesEveryTruncationOfThePixels(_ index: Int) throws {
        let source = Self.cut[index]
        let file = source.encoded()
        // The last pixels of the compressed pictures end before the end of the picture is said.
        let behind = source.data == nil ? (source.rowBytes + 3) / 4 * 4 - source.rowBytes : 2
        for length in 0..<file.count {
            let cut = Array(file[..<length])
            if length < file.count - behind {
                #expect(failure(cut) != nil, "\(source) cut to \(length) of \(file.count) bytes")
            } else {
                #expect(try RGBImage(decoding: cut) == source.expected(.white), "\(source) cut to \(length)")
            }
        }
    }

    @Test(arguments: cut.indices) func survivesEveryFlippedBit(_ index: Int) {
        expectSurvival(ofFlippedBitsIn: Self.cut[index].encoded(), maximumPixels: 1 << 20)
    }

    @Test func survivesNoise() {
        var generator = SplitMix64(state: 6)
        for header in [12, 40, 124] as [UInt32] {
            for _ in 0..<500 {
                let length = Int.random(in: 0..<300, using: &generator)
                let noise = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                let start = Array("BM".utf8) + [UInt8](repeating: 0, count: 12) + BMPSource.little(header, 4)
                #expect(failure(start + noise) != nil)
            }
        }
    }

    @Test func aSmallFileOfAHugePictureIsRefusedByItsHeader() {
        for bits in [1, 8, 24, 32] {
            var bomb = BMPSource(bits: bits, width: 60_000, height: 60_000)
            if bits <= 8 { bomb.palette = (0..<1 << bits).map { _ in [1, 2, 3] } }
            bomb.data = [UInt8](repeating: 0, count: 1000)
            let error = failure(bomb.encoded())
            #expect(error?.kind == .damaged, "\(bits) bits")
            #expect(error?.reason.hasPrefix("BMP: premature end of data: 60000 x 60000 pixels") == true)
        }
        for bits in [4, 8] {
            var bomb = BMPSource.compressed(bits)
            (bomb.width, bomb.height) = (60_000, 60_000)
            #expect(failure(bomb.encoded())?.reason == "60000 x 60000 pixels exceed the limit of 200000000")
            (bomb.width, bomb.height) = (Int(Int32.max), 1)
            #expect(failure(bomb.encoded())?.kind == .tooLarge)
        }
    }

    /// Rows and pixels that a few bytes skip: as many as the limit allows cost a table of rows and no more.
    @Test func aTallPictureOfSkippedRowsIsRead() throws {
        var tall = BMPSource.compressed(8)
        (tall.width, tall.height) = (3, 400_000)
        tall.data = [0, 1]
        let image = try RGBImage(decoding: tall.encoded())
        #expect(image.pixels == (0..<3 * 400_000).flatMap { _ in tall.palette[0] })
    }

    @Test func refusesByName() {
        func reason(_ change: (inout BMPSource) -> Void) -> String? {
            var source = BMPSource.all.first { $0.bits == 8 && $0.header == 40 } ?? BMPSource.all[0]
            change(&source)
            let error = failure(source.encoded())
            #expect(error?.kind == .unsupported || error?.kind == .damaged)
            return error?.reason
        }
        #expect(reason { $0.compression = 4 } == "BMP: a JPEG inside a BMP is not supported; extract it")
        #expect(reason { $0.compression = 5 } == "BMP: a PNG inside a BMP is not supported; extract it")
        #expect(reason { $0.compression = 11 } == "BMP: compression 11 is not supported")
        #expect(reason { $0.compression = 3 } == "BMP: 8 bits per pixel with compression 3; expected 16, 24 or 32")
        #expect(reason { $0.compression = 2 } == "BMP: 8 bits per pixel with compression 2; expected 4")
        #expect(
            reason { ($0.header, $0.compression) = (64, 3) } == "BMP: Huffman compression of OS/2 is not supported")
        #expect(reason { ($0.header, $0.compression) = (64, 4) } == "BMP: RLE24 compression of OS/2 is not supported")
        for header in [20, 36, 42, 64] {
            let stated = reason { ($0.header, $0.bits, $0.compression) = (header, 16, 6) }
            #expect(stated == "BMP: compression 6 of OS/2 is not supported")
            // Its masks would be behind the end of this file.
            var cut = BMPSource(header: header, bits: 16, compression: 6)
            cut.data = [0, 0, 0, 0]
            #expect(failure(cut.encoded()) != nil)
        }
        #expect(reason { $0.header = 66 } == "BMP: a header of 66 bytes; expected 12, 16 to 64, 108 or 124")
        #expect(reason { $0.planes = 3 } == "BMP: 3 planes; expected 1")
        #expect(reason { $0.statedColors = 70_000 } == "BMP: a palette of 70000 colours; expected 65536 at most")
        #expect(reason { $0.width = 0 } == "BMP: size of 0 x 9 pixels")
        #expect(reason { $0.height = 0 } == "BMP: size of 11 x 0 pixels")
    }

    @Test func refusesMasksThatMeanNothing() {
        let masks: [([UInt32], Int, String)] = [
            ([0xF000_00F0, 0xF00, 0xF], 32, "the bits of red are not in a row (mask F00000F0)"),
            ([0xFF0000, 0xFF00, 0xFFF], 32, "the bits of blue overlap"),
            ([0, 0, 0], 16, "all masks are 0; expected some of red, green and blue"),
            ([0x1_0000, 0x3E0, 0x1F], 16, "masks of more than 16 bits"),
        ]
        for (masks, bits, reason) in masks {
            var source = BMPSource(bits: bits, compression: 3, masks: masks)
            source.values = [UInt32](repeating: 0, count: source.width * source.height)
            #expect(failure(source.encoded())?.reason == "BMP: \(reason)")
        }
        for bits in [0, 3, 5, 48, 64] {
            var source = BMPSource(bits: bits)
            source.data = [UInt8](repeating: 0, count: 1000)
            #expect(failure(source.encoded())?.reason == "BMP: \(bits) bits per pixel are not supported")
        }
    }

    /// Pixels that begin inside the header are damage; at its end they begin behind the palette, as in Pillow.
    @Test func findsThePixels() throws {
        let source = try #require(BMPSource.all.first { $0.bits == 8 && $0.header == 40 })
        let file = source.encoded()
        for place in [0, 54] as [UInt32] {
            #expect(try RGBImage(decoding: replacing(file, 10, with: place)) == source.expected(.white))
        }
        for place in [1, 53] as [UInt32] {
            let reason = "BMP: pixels at byte \(place), inside the header that ends at 54"
            #expect(failure(replacing(file, 10, with: place))?.reason == reason)
        }
        #expect(failure(replacing(file, 10, with: UInt32(file.count + 1)))?.reason == "BMP: premature end of data")
        #expect(failure(replacing(file, 10, with: .max))?.reason == "BMP: premature end of data")
        #expect(failure(replacing(file, 22, with: 0x8000_0000))?.kind == .damaged)
        #expect(failure(replacing(file, 18, with: 0xFFFF_FFF5))?.reason == "BMP: size of -11 x 9 pixels")
    }

    private func replacing(_ file: [UInt8], _ place: Int, with value: UInt32) -> [UInt8] {
        var file = file
        file.replaceSubrange(place..<place + 4, with: BMPSource.little(value, 4))
        return file
    }

    /// Text that begins with the two letters is text.
    @Test func textIsNoPicture() {
        #expect(failure(Array("BMW\n".utf8))?.format == "a text file")
        #expect(failure(Array("BM is short for bitmap, which this is not.".utf8))?.format == "a text file")
    }
}
