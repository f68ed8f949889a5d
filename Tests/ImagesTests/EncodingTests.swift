import Testing

@testable import Images

@Suite struct EncodingTests {
    /// A picture of soft colours, which JPEG keeps well.
    private func picture(_ width: Int, _ height: Int) -> RGBImage {
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                pixels.append(UInt8(x * 200 / width + 20))
                pixels.append(UInt8(y * 200 / height + 20))
                pixels.append(UInt8((x + y) * 100 / (width + height)))
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    @Test(arguments: [(1, 1), (7, 5), (16, 16), (96, 61)]) func whatIsEncodedIsDecoded(_ width: Int, _ height: Int)
        throws
    {
        let original = picture(width, height)
        let data = try original.encodedAsJPEG(quality: 95)
        #expect(try original.encodedAsJPEG(quality: 95) == data)
        let decoded = try RGBImage(decoding: data)
        #expect(decoded.width == width && decoded.height == height)
        let worst = zip(decoded.pixels, original.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
        #expect(worst <= 40)
        let mean = zip(decoded.pixels, original.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(Double(mean) / Double(original.pixels.count) < 8)
    }

    @Test func noiseOfTheBestQualityFits() throws {
        var state: UInt32 = 1
        let pixels = (0..<64 * 64 * 3).map { _ -> UInt8 in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        let noise = RGBImage(width: 64, height: 64, pixels: pixels)
        #expect(try RGBImage(decoding: noise.encodedAsJPEG(quality: 100)).width == 64)
    }

    @Test func tooLongASideIsRefused() throws {
        let long = RGBImage(width: 70_000, height: 1, pixels: Array(repeating: 9, count: 210_000))
        let error = #expect(throws: ImageError.self) { try long.encodedAsJPEG() }
        #expect(error?.kind == .tooLarge)
    }

    @Test func picturesAreFittedInProportion() {
        let fitted = picture(300, 100).fitted(to: 60)
        #expect(fitted.width == 60 && fitted.height == 20)
        #expect(picture(50, 60).fitted(to: 60) == picture(50, 60))
        #expect(picture(1000, 1).fitted(to: 10).height == 1)
    }
}
