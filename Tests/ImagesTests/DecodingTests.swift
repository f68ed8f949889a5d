import Foundation
import Images
import TestSupport
import Testing

@Suite struct DecodingTests {
    @Test(arguments: PNGSource.all.indices)
    func decodesEveryKindOfPNGExactly(_ index: Int) throws {
        let source = PNGSource.all[index]
        let file = source.encoded()
        for policy in AlphaPolicy.allCases {
            let image = try RGBImage(decoding: file, options: DecodingOptions(alpha: policy))
            #expect(image == source.expected(policy), "\(source), alpha \(policy)")
        }
    }

    @Test(arguments: [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (4, 5), (5, 4), (8, 8)])
    func decodesInterlacedPNGsWithEmptyPasses(_ width: Int, _ height: Int) throws {
        var source = PNGSource(colorType: 2, depth: 8, isInterlaced: true, width: width, height: height)
        source.samples = (0..<width * height * 3).map { $0 * 7 % 256 }
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
    }

    @Test func ignoresGammaAndProfiles() throws {
        var source = PNGSource.all[0]
        source.extra = [
            ("gAMA", PNGFile.bigEndian(100_000)), ("sRGB", [0]),
            ("tEXt", Array("Comment".utf8) + [0] + [UInt8](repeating: 65, count: 500)), ("zzZz", [1, 2, 3]),
        ]
        #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
    }

    @Test(arguments: Cases.list("jpeg", "jpg"))
    func decodesJPEGsAsPillowDoes(_ url: URL) throws {
        let name = url.deletingPathExtension().lastPathComponent
        let expected = try #require(
            Cases.list("jpeg", "rgb").first { try Cases.parts($0).name == name })
        let image = try RGBImage(decoding: Cases.bytes(url))
        let worst = try #require(difference(image, try Cases.picture(expected)))
        #expect(worst <= 2)
    }

    @Test func tellsFormatsByContent() throws {
        let jpeg = try Cases.bytes("jpeg", "tiny.jpg")
        #expect(try RGBImage(decoding: jpeg).width == 16)
        #expect(failure([]) == ImageError(kind: .empty, reason: "empty file"))
        #expect(failure([0xFF])?.reason == "not a known picture format (starts with FF)")
        #expect(failure([0xFF, 0xD8])?.kind == .damaged)
        #expect(failure([0x89, 0x50, 0x4E, 0x47])?.kind == .damaged)
    }

    @Test func checksThePixelLimitInTheHeader() throws {
        let bomb = PNGSource(colorType: 2, depth: 8, width: 60000, height: 60000)
        let header = bomb.encodedHeader(padding: 12_000_000)
        #expect(failure(header)?.reason == "60000 x 60000 pixels exceed the limit of 200000000")
        // A thousand bytes cannot hold even what the limit allows.
        let small = PNGSource(colorType: 2, depth: 8, width: 10000, height: 10000).encodedHeader(padding: 1000)
        #expect(failure(small)?.kind == .damaged)
        let wide = PNGSource(colorType: 0, depth: 1, width: 2_000_000, height: 1).encodedHeader(padding: 1000)
        #expect(failure(wide)?.reason == "2000000 x 1 pixels: no side may exceed 1000000")
        let jpeg = try Cases.bytes("jpeg", "420.jpg")
        let limited = #expect(throws: ImageError.self) {
            try RGBImage(decoding: jpeg, options: DecodingOptions(maximumPixels: 61 * 47 - 1))
        }
        #expect(limited?.reason == "61 x 47 pixels exceed the limit of 2866")
        #expect(throws: Never.self) {
            try RGBImage(decoding: jpeg, options: DecodingOptions(maximumPixels: 61 * 47))
        }
    }

    @Test func refusesAJPEGThatPromisesMorePixelsThanItHasBitsFor() throws {
        var jpeg = try Cases.bytes("jpeg", "tiny.jpg")
        let frame = try #require((0..<jpeg.count - 1).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
        jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x20, 0, 0x20, 0])
        #expect(failure(jpeg)?.reason.hasPrefix("JPEG: premature end of data: 8192 x 8192 pixels") == true)
    }
}

/// The error of decoding, or nil if there is none.
func failure(_ bytes: [UInt8]) -> ImageError? {
    do throws(ImageError) {
        _ = try RGBImage(decoding: bytes)
        return nil
    } catch { return error }
}

extension PNGSource {
    /// A file that has the header of this picture and nothing but zeros after it.
    func encodedHeader(padding: Int) -> [UInt8] {
        let size = PNGFile.bigEndian(UInt32(width)) + PNGFile.bigEndian(UInt32(height))
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
            + PNGFile.chunk("IHDR", size + [UInt8(depth), colorType, 0, 0, 0]) + [UInt8](repeating: 0, count: padding)
    }
}
