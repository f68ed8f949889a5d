import Foundation
import Images
import Tensors
import TestSupport
import Testing

@Suite struct GIFTests {
    @Test(arguments: GIFSource.all.indices) func decodesEveryKind(_ index: Int) throws {
        let source = GIFSource.all[index]
        let file = source.encoded()
        for policy in AlphaPolicy.allCases {
            let image = try RGBImage(decoding: file, options: DecodingOptions(alpha: policy))
            #expect(image == source.expected(policy), "\(source), alpha \(policy)")
        }
    }

    /// What Pillow makes of the same files, bit for bit.
    @Test(arguments: Cases.list("gif", "gif")) func decodesAsPillowDoes(_ url: URL) throws {
        let name = url.deletingPathExtension().lastPathComponent
        let expected = try #require(Cases.list("gif", "rgb").first { try Cases.parts($0).name == name })
        #expect(try RGBImage(decoding: Cases.bytes(url)) == Cases.picture(expected))
    }

    @Test(arguments: [true, false]) func decodesFullTablesOfCodes(_ clears: Bool) throws {
        let source = GIFSource.large(clears: clears)
        #expect(source.codes().filter { $0 == 32 }.count > 1 || !clears)
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
    }

    @Test func blocksOfAnyLengthAreOneStream() throws {
        var source = GIFSource.all[0]
        for length in [1, 2, 3, 7, 254] {
            source.data = GIFSource.blocks(GIFSource.packed(source.codes(), source.bits), length)
            #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
        }
    }

    @Test func codesWithoutAClearCodeOrAnEndCodeAreRead() throws {
        var source = GIFSource.all[0]
        let codes = source.codes()
        for some in [Array(codes.dropFirst()), codes.dropLast(), [codes[0]] + codes, codes.dropLast() + [0, 0, 0]] {
            source.data = GIFSource.blocks(GIFSource.packed(some, source.bits))
            #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
        }
    }

    @Test func ofAnAnimationTheFirstPictureIsTaken() throws {
        for source in GIFSource.all where !source.isInterlaced {
            var animation = source
            let second = Array(source.encoded().drop { $0 != 0x2C })
            for disposal in 0...3 as ClosedRange<UInt8> {
                animation.end = [0x21, 0xF9, 4, disposal << 2 | 1, 0, 0, 1, 0] + second
                #expect(try RGBImage(decoding: animation.encoded()) == source.expected(.white), "\(source)")
            }
        }
    }

    @Test func extensionsAreSkipped() throws {
        var source = try #require(GIFSource.all.first { $0.transparent == nil })
        let loop = [0x21, 0xFF, 11] + Array("NETSCAPE2.0".utf8) + [3, 1, 0, 0, 0]
        let comment = [0x21, 0xFE] + GIFSource.blocks([UInt8](repeating: 65, count: 2000))
        let text = [0x21, 0x01, 12] + [UInt8](repeating: 1, count: 12) + [2, 65, 66, 0]
        source.extensions = loop + comment + text + [0x21, 0xAB, 0] + [0x21, 0xF9, 0]
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
        // Of several graphic controls, the last that names a transparent colour counts, as in Pillow.
        source.extensions = [0x21, 0xF9, 4, 1, 0, 0, 3, 0, 0x21, 0xF9, 4, 1, 0, 0, 0, 0, 0x21, 0xF9, 4, 0, 0, 0, 1, 0]
        let file = source.encoded()
        source.transparent = 0
        #expect(try RGBImage(decoding: file) == source.expected(.white))
    }

    private static let cut: [GIFSource] = [
        GIFSource.all[0], GIFSource.all[4], GIFSource.all[7 * 8 + 6], GIFSource.all[70],
    ]

    @Test(arguments: cut.indices) func refusesEveryTruncationOfThePixels(_ index: Int) throws {
        let source = Self.cut[index]
        let file = source.encoded()
        // The empty block and the end marker; the block with the last pixel has to be whole.
        for length in 0..<file.count {
            let cut = Array(file[..<length])
            if length < file.count - 2 {
                #expect(failure(cut) != nil, "\(source) cut to \(length) of \(file.count) bytes")
            } else {
                #expect(try RGBImage(decoding: cut) == source.expected(.white), "\(source) cut to \(length)")
            }
        }
        #expect(try RGBImage(decoding: file + [1, 2, 3]) == source.expected(.white))
    }

    @Test(arguments: cut.indices) func survivesEveryFlippedBit(_ index: Int) {
        expectSurvival(ofFlippedBitsIn: Self.cut[index].encoded(), maximumPixels: 1 << 20)
    }

    @Test func survivesNoise() {
        var generator = SplitMix64(state: 7)
        let start = Array(GIFSource.all[0].encoded().drop { $0 != 0x2C }.prefix(10))
        for _ in 0..<1000 {
            let length = Int.random(in: 0..<100, using: &generator)
            let noise = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            #expect(failure(Array("GIF89a".utf8) + noise) != nil)
            let picture = Array("GIF89a".utf8) + [11, 0, 9, 0, 0, 0, 0] + start + noise
            if let image = try? RGBImage(decoding: picture) { #expect(image.width == 11) }
        }
    }

    /// Codes that stand for nothing: the library's own function would invent pixels for them.
    @Test func codesWithoutAMeaningAreDamage() {
        var source = GIFSource.all[7 * 8]
        let expected = ImageError(kind: .damaged, reason: "GIF: a code without a meaning")
        let damaged: [[Int]] = [
            [256, 258], [256, 1, 259], [256, 1, 258, 300], [256, 1, 2, 256, 258], [300], [256, 1, 2, 3, 511],
        ]
        for codes in damaged {
            source.data = GIFSource.blocks(GIFSource.packed(codes + [0, 0, 0, 0], 8))
            #expect(failure(source.encoded()) == expected, "\(codes)")
        }
        source.data = GIFSource.blocks(GIFSource.packed([256, 1, 2, 257], 8))
        #expect(failure(source.encoded()) == ImageError(kind: .damaged, reason: "GIF: the pixels end too soon"))
    }

    @Test func namesTheDamage() {
        func reason(_ change: (inout GIFSource) -> Void) -> String? {
            var source = GIFSource.all[0]
            change(&source)
            return failure(source.encoded())?.reason
        }
        #expect(reason { $0.data = [] } == "GIF: premature end of data")
        #expect(reason { $0.data = [200, 1, 2, 3] } == "GIF: premature end of data")
        #expect(reason { $0.bits = 11 } == "GIF: codes for pixels of 11 bits; expected 1 to 8")
        #expect(reason { $0.bits = 0 } == "GIF: codes for pixels of 0 bits; expected 1 to 8")
        #expect(reason { $0.width = 0 } == "GIF: size of 0 x 9 pixels")
        #expect(reason { $0.height = 0 } == "GIF: size of 11 x 0 pixels")
        #expect(reason { $0.extensions = [0x3B] } == "GIF: no picture before the end marker")
        #expect(reason { $0.extensions = [0x55] } == "GIF: Wrong record type detected")
        #expect(reason { $0.extensions = [0x21, 0xF9, 2, 1, 0, 0] } == "GIF: a graphic control extension of 2 bytes")
        #expect(failure(Array("GIF89a".utf8))?.reason == "GIF: premature end of data")
    }

    @Test func aSmallFileOfAHugePictureIsRefusedByItsHeader() {
        for isInterlaced in [false, true] {
            var bomb = GIFSource(screen: (60_000, 60_000), width: 60_000, height: 60_000, isInterlaced: isInterlaced)
            bomb.data = GIFSource.blocks([UInt8](repeating: 0, count: 1000))
            #expect(failure(bomb.encoded())?.kind == .damaged)
            #expect(failure(bomb.encoded())?.reason.hasPrefix("GIF: premature end of data: 60000 x 60000") == true)
            (bomb.width, bomb.height) = (1, 1)
            #expect(failure(bomb.encoded())?.reason == "60000 x 60000 pixels exceed the limit of 200000000")
        }
    }

    /// The most pixels that codes can stand for: each is the last string and one more pixel.
    @Test func theMostPixelsOfTheFewestBytesAreRead() throws {
        for isInterlaced in [false, true] {
            var bomb = GIFSource(screen: (2000, 4000), width: 2000, height: 4000, isInterlaced: isInterlaced, bits: 1)
            bomb.indexes = [UInt8](repeating: 1, count: 2000 * 4000)
            bomb.clears = false
            let file = bomb.encoded()
            #expect(file.count < 9000)
            #expect(try RGBImage(decoding: file).pixels == [UInt8](repeating: 1, count: 2000 * 4000 * 3))
        }
    }
}
