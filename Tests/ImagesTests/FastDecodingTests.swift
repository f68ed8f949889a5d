import Images
import Tensors
import Testing

/// Decoding at a fraction of the size: which fraction, that it looks the same, and what it leaves alone.
@Suite struct FastDecodingTests {
    private static let fast = DecodingOptions(isFast: true)

    /// Waves of 64 and 43 pixels, which an eighth of the size still shows.
    private func waves(_ width: Int, _ height: Int) -> RGBImage {
        let pixels = (0..<width * height * 3).map { index -> UInt8 in
            let (x, y, channel) = (index / 3 % width, index / 3 / width, index % 3)
            return UInt8(60 + abs((x * 2 + channel * 30) % 128 - 64) + abs(y * 3 % 128 - 64))
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    private func settings(_ size: String) throws -> Preprocessing {
        try preprocessing(#"{"image_processor_type": "ViTImageProcessor", "size": \#(size), "resample": 2}"#)
    }

    private func decode(_ bytes: [UInt8], _ settings: Preprocessing) throws -> (RGBImage, ImageSize) {
        try bytes.withUnsafeBytes { try settings.picture(decoding: $0, options: Self.fast) }
    }

    @Test(arguments: [
        (71, 71, 1), (72, 71, 1), (72, 72, 2), (143, 200, 2), (144, 145, 4), (287, 288, 4), (288, 301, 8),
        (900, 400, 8),
    ])
    func theFractionLeavesNoSideBelowTheResult(_ width: Int, _ height: Int, _ denominator: Int) throws {
        let (picture, original) = try decode(
            waves(width, height).encodedAsJPEG(quality: 80), settings(#"{"height": 24, "width": 24}"#))
        #expect(original == ImageSize(height: height, width: width))
        #expect(picture.width == (width + denominator - 1) / denominator)
        #expect(picture.height == (height + denominator - 1) / denominator)
    }

    /// The size of the result is that of the whole picture, also where it depends on the proportions.
    @Test func theResultIsNearlyThatOfTheWholePicture() throws {
        let bytes = try waves(333, 250).encodedAsJPEG(quality: 95)
        for size in [#"{"height": 41, "width": 41}"#, #"{"shortest_edge": 40}"#] {
            let settings = try settings(size)
            let (picture, original) = try decode(bytes, settings)
            #expect(picture.width == 84)
            let quick = try settings.apply(picture, original: original)
            let exact = try settings.apply(try RGBImage(decoding: bytes))
            #expect((quick.width, quick.height) == (exact.width, exact.height))
            let sum = zip(quick.pixels, exact.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
            #expect(Double(sum) / Double(exact.pixels.count) < 4)
            #expect(quick != exact)
        }
    }

    /// What is compared with the result's size is the upright picture.
    @Test func aTurnedPictureIsMeasuredUpright() throws {
        let stored = try waves(64, 40).encodedAsJPEG(quality: 90)
        let exif = Array("Exif".utf8) + [0, 0] + OrientationTests.exif(value: 6)
        let turned = stored[..<2] + [0xFF, 0xE1, 0, UInt8(exif.count + 2)] + exif + stored[2...]
        let (half, original) = try decode(Array(turned), settings(#"{"height": 21, "width": 13}"#))
        #expect(original == ImageSize(height: 64, width: 40) && half.size == ImageSize(height: 32, width: 20))
        #expect(try decode(Array(turned), settings(#"{"height": 13, "width": 21}"#)).0.size == original)
    }

    @Test func everythingElseIsDecodedWhole() throws {
        let settings = try settings(#"{"height": 8, "width": 8}"#)
        let png = PNGSource(colorType: 2, depth: 8, width: 80, height: 70, samples: (0..<80 * 70 * 3).map { $0 % 256 })
        #expect(try decode(png.encoded(), settings).0 == RGBImage(decoding: png.encoded()))
        let jpeg = try waves(80, 70).encodedAsJPEG(quality: 80)
        let whole = try jpeg.withUnsafeBytes { try settings.picture(decoding: $0, options: DecodingOptions()) }
        #expect(whole.picture == (try RGBImage(decoding: jpeg)))
        let asItIs = try preprocessing(#"{"image_processor_type": "ViTImageProcessor", "do_resize": false}"#)
        #expect(try decode(jpeg, asItIs).0 == whole.picture)
    }

    @Test func aPictureThatIsCutShortIsRefusedAllTheSame() throws {
        let jpeg = try waves(160, 160).encodedAsJPEG(quality: 80)
        let settings = try settings(#"{"height": 16, "width": 16}"#)
        for length in stride(from: 2, to: jpeg.count - 2, by: 97) {
            #expect(throws: ImageError.self) { try decode(Array(jpeg[..<length]), settings) }
        }
    }
}
