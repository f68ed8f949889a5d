import Testing

@testable import Images

/// Files of every layout, made here; compressed ones are in FormatCaseTests.
@Suite(.enabled(if: Formats.areBuiltIn("TIFF"))) struct TIFFTests {
    @Test(arguments: TIFFSource.all.indices) func everyLayoutInStripsAndTiles(_ index: Int) throws {
        let source = TIFFSource.all[index]
        for policy in AlphaPolicy.allCases {
            let options = DecodingOptions(alpha: policy)
            let expected = source.expected(policy)
            #expect(try RGBImage(decoding: source.encoded(), options: options) == expected, "\(source), \(policy)")
            for (tile, rows) in [(nil, 1), (nil, 2), (16, nil)] as [(Int?, Int?)] {
                for isBigEndian in [false, true] {
                    var other = source
                    (other.tile, other.rowsPerStrip, other.isBigEndian) = (tile, rows, isBigEndian)
                    let place = "\(source), \(policy), tile \(tile ?? 0), big endian \(isBigEndian)"
                    #expect(try RGBImage(decoding: other.encoded(), options: options) == expected, "\(place)")
                    (other.isSeparate, other.isBigTIFF) = (source.samples > 1, isBigEndian)
                    #expect(try RGBImage(decoding: other.encoded(), options: options) == expected, "\(place), planar")
                }
            }
        }
    }

    @Test func tilesOfSeveralRowsAndColumns() throws {
        for isSeparate in [false, true] {
            let source = TIFFSource(width: 37, height: 50, isSeparate: isSeparate, tile: 16)
            #expect(try RGBImage(decoding: source.encoded()) == source.expected(.white))
        }
    }

    @Test(arguments: 0...9) func orientationIsThatOfTheTag(_ value: Int) throws {
        let source = TIFFSource(orientation: value)
        let picture = try RGBImage(decoding: source.encoded())
        let orientation = Orientation(rawValue: value) ?? .upright
        #expect(picture == source.expected(.white).turned(from: orientation))
    }

    @Test func withoutTheTagTheOrientationIsThatOfXMP() throws {
        let packet = Array("<x tiff:Orientation=\"8\"/>".utf8).map { Int($0) }
        var source = TIFFSource()
        source.more = [(700, 1, packet)]
        let stored = source.expected(.white)
        #expect(try RGBImage(decoding: source.encoded()) == stored.turned(from: .quarterLeft))
        source.orientation = 1
        #expect(try RGBImage(decoding: source.encoded()) == stored)
    }

    @Test(arguments: [
        (TIFFSource(photometric: 1, depth: 32, sampleFormat: 3), "TIFF: floating-point samples"),
        (TIFFSource(photometric: 1, depth: 16, sampleFormat: 2), "TIFF: signed samples"),
        (TIFFSource(photometric: 1, depth: 32, sampleFormat: 5), "TIFF: complex samples"),
        (TIFFSource(photometric: 1, depth: 32), "TIFF: 1 sample of 32 bits"),
        (TIFFSource(depth: 4), "TIFF: 3 samples of 4 bits"),
        (TIFFSource(photometric: 8), "TIFF: CIE L*a*b* colours"),
        (TIFFSource(photometric: 32803), "TIFF: raw samples of a camera"),
        (TIFFSource(photometric: 77), "TIFF: photometric interpretation 77"),
        (TIFFSource(photometric: 1, sampleCount: 5), "TIFF: 5 bands instead of 1"),
        (TIFFSource(extra: [0, 0, 0, 0]), "TIFF: 7 bands instead of 3"),
        (TIFFSource(extra: [0, 2]), "TIFF: an opacity after another extra band"),
        (TIFFSource(photometric: 5, extra: [2]), "TIFF: CMYK with an opacity"),
        (TIFFSource(sampleCount: 2), "TIFF: 2 bands instead of 3"),
    ]) func whatIsNotSupportedIsNamed(_ source: TIFFSource, _ reason: String) {
        #expect(failure(source.encoded()) == ImageError(kind: .unsupported, reason: reason))
    }

    @Test func compressionsThatAreMissingAreNamed() throws {
        var file = TIFFSource().encoded()
        let entry = try #require((0..<file.count - 4).first { file[$0..<$0 + 4] == [3, 1, 3, 0] })
        for (code, name) in [(34712, "JPEG2000"), (4711, "unknown")] {
            (file[entry + 8], file[entry + 9]) = (UInt8(code & 255), UInt8(code >> 8))
            let reason = failure(file)?.reason
            #expect(reason?.hasPrefix("TIFF: compression \(code) (") == true, "\(name): \(reason ?? "read")")
        }
    }

    @Test func aPaletteOfEightBitsIsRecognized() throws {
        let source = TIFFSource(photometric: 3, depth: 1)
        let map = source.encoded()
        let palette = (0..<2).map { source.palette($0) }
        let wide = (0..<3).flatMap { c in palette.flatMap { [UInt8($0[c] & 255), UInt8($0[c] >> 8)] } }
        let place = try #require((0..<map.count - 11).first { Array(map[$0..<$0 + 12]) == wide })
        let narrow: [UInt8] = [10, 0, 200, 0, 20, 0, 210, 0, 30, 0, 220, 0]
        let picture = try RGBImage(decoding: Array(map[..<place] + narrow + map[(place + 12)...]))
        #expect(Set(picture.pixels) == [10, 20, 30, 200, 210, 220])
    }

    /// Of a file that holds smaller copies of its picture, `--fast-decode` takes the smallest that is large enough.
    @Test(arguments: [(30, 40), (20, 40), (13, 20), (10, 20), (6, 10), (2, 10)]) func copiesServeFastDecoding(
        _ side: Int, _ expected: Int
    ) throws {
        let source = TIFFSource(width: 40, height: 40)
        // The last is no copy: its proportions differ.
        let copies = [(20, 20), (10, 10), (4, 9)].map { TIFFSource(width: $0, height: $1) }
        let settings = try preprocessing(
            #"{"image_processor_type": "ViTImageProcessor", "size": {"height": \#(side), "width": \#(side)}}"#)
        func decoded(_ options: DecodingOptions) throws -> (picture: RGBImage, original: ImageSize) {
            try source.encoded(copies: copies).withUnsafeBytes { try settings.picture(decoding: $0, options: options) }
        }
        let quick = try decoded(DecodingOptions(isFast: true))
        #expect(quick.original == ImageSize(height: 40, width: 40))
        #expect(quick.picture == TIFFSource(width: expected, height: expected).expected(.white))
        #expect(try decoded(DecodingOptions()).picture == source.expected(.white))
    }
}
