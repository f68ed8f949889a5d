import Images
import TestSupport
import Testing

/// Files made to do harm: each is refused, or decoded within bounds.
@Suite struct HostileTests {
    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    static func header(_ width: UInt32, _ height: UInt32, depth: UInt8 = 8, colorType: UInt8 = 2) -> [UInt8] {
        let size = PNGFile.bigEndian(width) + PNGFile.bigEndian(height)
        return signature + PNGFile.chunk("IHDR", size + [depth, colorType, 0, 0, 0])
    }

    @Test func aSmallFileOfAHugePictureIsRefusedByItsHeader() {
        for (width, height) in [(60_000, 60_000), (Int(Int32.max), Int(Int32.max)), (Int(Int32.max), 1)] {
            let bomb =
                HostileTests.header(UInt32(width), UInt32(height))
                + PNGFile.chunk("IDAT", [UInt8](repeating: 0, count: 1000)) + PNGFile.chunk("IEND", [])
            let error = failure(bomb)
            #expect(error?.kind == .damaged || error?.kind == .tooLarge, "\(width) x \(height)")
        }
    }

    @Test(arguments: [(0, 5), (5, 0), (0, 0), (0x8000_0000, 5)])
    func picturesWithoutPixelsAreRefused(_ width: Int, _ height: Int) throws {
        let png = HostileTests.header(UInt32(width), UInt32(height)) + PNGFile.chunk("IEND", [])
        #expect(failure(png)?.kind == .damaged)
        var jpeg = try Cases.bytes("jpeg", "tiny.jpg")
        let frame = try #require((0..<jpeg.count - 1).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
        jpeg.replaceSubrange(
            frame + 5..<frame + 9,
            with: [UInt8(height >> 8 & 255), UInt8(height & 255), UInt8(width >> 8 & 255), UInt8(width & 255)])
        #expect(failure(jpeg) != nil)
    }

    /// Chunks that nobody needs: many, large, or expanding when they are unpacked.
    @Test func ancillaryChunksCostNothing() throws {
        var source = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        let plain = try RGBImage(decoding: source.encoded())
        // A deflate stream that stands for far more than it is: stored blocks would do for a reader that unpacks it.
        let profile = Array("p".utf8) + [0, 0] + [UInt8](repeating: 0x78, count: 200_000)
        let extras: [[(String, [UInt8])]] = [
            [("iCCP", profile)], [("zTXt", profile)], [("iTXt", Array("k".utf8) + [0, 1, 0, 0, 0] + profile)],
            [("tEXt", Array("Title".utf8) + [0] + [UInt8](repeating: 65, count: 3_000_000))],
            (0..<20_000).map { _ in ("tEXt", Array("a".utf8) + [0, 65]) },
            [("prVt", [UInt8](repeating: 1, count: 1_000_000))],
            [("sPLT", Array("n".utf8) + [0, 8] + [UInt8](repeating: 9, count: 60_000))],
        ]
        for extra in extras {
            source.extra = extra
            #expect(try RGBImage(decoding: source.encoded()) == plain, "\(extra[0].0) x \(extra.count)")
        }
        // What cannot be skipped is limited.
        source.extra = (0..<5000).map { _ in ("abCd", [1]) }
        let many = Result { try RGBImage(decoding: source.encoded()) }
        #expect((try? many.get()) == nil || (try? many.get()) == plain)
    }

    @Test func ofAnAnimationTheFirstPictureIsTaken() throws {
        var source = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        let plain = try RGBImage(decoding: source.encoded())
        let control = PNGFile.bigEndian(0) + PNGFile.bigEndian(3) + PNGFile.bigEndian(2)
        source.extra = [
            ("acTL", PNGFile.bigEndian(1000) + PNGFile.bigEndian(0)),
            ("fcTL", control + [UInt8](repeating: 0, count: 14)),
        ]
        var file = source.encoded()
        file.insert(
            contentsOf: PNGFile.chunk("fdAT", [0, 0, 0, 1] + [UInt8](repeating: 7, count: 100)), at: file.count - 12)
        #expect(try RGBImage(decoding: file) == plain)
    }

    @Test func aChunkAsLongAsANumberCanSayIsRefused() {
        // Fuzzing found that libpng takes as much memory as eXIf claims to have bytes, before it reads one.
        for name in ["tEXt", "eXIf", "PLTE", "tRNS", "IDAT", "abCd"] {
            for length in [UInt32(Int32.max), UInt32.max, 1_836_020_345, 1_000_000] {
                for rest in [100, 5, 0] {
                    let file =
                        HostileTests.header(2, 2) + PNGFile.bigEndian(length) + Array(name.utf8)
                        + [UInt8](repeating: 0, count: rest)
                    #expect(failure(file)?.reason == "PNG: premature end of data")
                }
            }
        }
    }

    /// The frame header of `tiny.jpg` with another marker or precision.
    func jpeg(marker: UInt8? = nil, precision: UInt8? = nil) throws -> [UInt8] {
        var file = try Cases.bytes("jpeg", "tiny.jpg")
        let frame = try #require((0..<file.count - 1).first { file[$0] == 0xFF && file[$0 + 1] == 0xC0 })
        if let marker { file[frame + 1] = marker }
        if let precision { file[frame + 4] = precision }
        return file
    }

    @Test func otherKindsOfJPEGAreRefusedByName() throws {
        for precision: UInt8 in [2, 12, 16] {
            #expect(failure(try jpeg(precision: precision))?.kind == .unsupported, "\(precision) bits")
        }
        // Lossless, hierarchical and their arithmetic relatives.
        for marker: UInt8 in [0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF] {
            #expect(failure(try jpeg(marker: marker)) != nil, "SOF \(marker)")
        }
        // Huffman data read as arithmetic codes: noise or an error, never a fault.
        for marker: UInt8 in [0xC9, 0xCA] { _ = failure(try jpeg(marker: marker)) }
    }

    @Test func manySegmentsCostNothing() throws {
        let file = try Cases.bytes("jpeg", "tiny.jpg")
        let profile = Array("ICC_PROFILE".utf8) + [0, 1, 255] + [UInt8](repeating: 3, count: 65_000)
        let segment: (UInt8, [UInt8]) -> [UInt8] = { marker, content in
            [0xFF, marker, UInt8((content.count + 2) >> 8), UInt8((content.count + 2) & 255)] + content
        }
        let extra = (0..<60).flatMap { _ in segment(0xE2, profile) } + (0..<9000).flatMap { _ in segment(0xFE, [65]) }
        #expect(try RGBImage(decoding: file.prefix(2) + extra + file.dropFirst(2)) == RGBImage(decoding: file))
    }

    /// Directories that lead outside, to themselves, or nowhere: the picture stays as it is.
    @Test func absurdOrientationsMeanUpright() throws {
        let plain = try RGBImage(decoding: Cases.bytes("jpeg", "tiny.jpg"))
        let start: [UInt8] = [0x49, 0x49, 0x2A, 0]
        let entry: [UInt8] = [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]
        let structures: [[UInt8]] = [
            [], Array(start.prefix(3)), start, start + [0, 0, 0, 0], start + [255, 255, 255, 255],
            start + [4, 0, 0, 0],
            start + [8, 0, 0, 0] + [255, 255], start + [8, 0, 0, 0] + [1, 0] + entry.prefix(11),
            start + [8, 0, 0, 0] + [1, 0] + entry.prefix(8) + [9, 0, 0, 0],
            start + [8, 0, 0, 0] + [1, 0] + entry.prefix(4) + [255, 255, 255, 255] + entry.suffix(4),
            // A next directory that is this one.
            start + [8, 0, 0, 0] + [0, 0] + [8, 0, 0, 0],
        ]
        for structure in structures {
            let segment = Array("Exif\0\0".utf8) + structure
            let file =
                try Cases.bytes("jpeg", "tiny.jpg").prefix(2) + [0xFF, 0xE1, 0, UInt8(segment.count + 2)] + segment
                + Cases.bytes("jpeg", "tiny.jpg").dropFirst(2)
            #expect(try RGBImage(decoding: Array(file)) == plain, "\(structure)")
        }
    }
}
