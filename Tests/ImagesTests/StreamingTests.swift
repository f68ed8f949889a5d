import Foundation
import Tensors
import TestSupport
import Testing

@testable import Images

/// Resizing rows while they are decoded gives what decoding the whole picture and then resizing it gives: the same
/// bits, and the same error for what cannot be decoded.
@Suite struct StreamingTests {
    private static let settings: [Preprocessing] = {
        func exact(_ width: Int, _ height: Int) -> Preprocessing.Target {
            .exact(ImageSize(height: height, width: width))
        }
        let sizes: [(Preprocessing.Target?, ImageSize?)] = [
            (exact(8, 8), nil), (exact(40, 31), nil), (exact(11, 4), nil), (exact(5, 9), nil), (exact(11, 9), nil),
            (exact(10, 2), nil), (exact(9, 11), nil), (exact(2, 10), nil),
            (exact(64, 3), ImageSize(height: 3, width: 9)),
            (.shortestEdge(6), ImageSize(height: 5, width: 4)), (.shortestEdge(6), ImageSize(height: 9, width: 8)),
            (nil, nil), (nil, ImageSize(height: 4, width: 7)), (nil, ImageSize(height: 20, width: 3)),
        ]
        return sizes.flatMap { target, crop in
            ResampleFilter.allCases.map {
                Preprocessing(target: target, filter: $0, crop: crop, rescaleFactor: nil, normalization: nil)
            }
        }
    }()

    private static func result(_ body: () throws(ImageError) -> RGBImage) -> Result<RGBImage, ImageError> {
        do throws(ImageError) { return .success(try body()) } catch { return .failure(error) }
    }

    private static func whole(
        _ file: [UInt8], _ settings: Preprocessing, _ options: DecodingOptions
    ) -> Result<RGBImage, ImageError> {
        file.withUnsafeBytes { bytes in
            result { () throws(ImageError) in
                let (picture, original) = try settings.picture(decoding: bytes, options: options)
                return try settings.apply(picture, original: original)
            }
        }
    }

    private static func streamed(
        _ file: [UInt8], _ settings: Preprocessing, _ options: DecodingOptions
    ) -> Result<RGBImage, ImageError> {
        file.withUnsafeBytes { bytes in
            result { () throws(ImageError) in try settings.prepared(decoding: bytes, options: options) }
        }
    }

    private static func agree(
        _ file: [UInt8], _ settings: Preprocessing, _ options: DecodingOptions = DecodingOptions()
    ) -> Bool {
        streamed(file, settings, options) == whole(file, settings, options)
    }

    private static func oriented(_ value: UInt8, _ width: Int, _ height: Int) -> PNGSource {
        var source = PNGSource(colorType: 2, depth: 8, width: width, height: height)
        source.samples = (0..<width * height * 3).map { ($0 * $0 * 31 + $0 * 7) % 251 }
        source.extra = [("eXIf", OrientationTests.exif(value: value))]
        return source
    }

    @Test(arguments: 1...8) func everyOrientationSizeFilterAndCrop(_ value: Int) {
        for (width, height) in [(11, 9), (9, 11), (3, 60), (60, 3), (1, 1)] {
            let file = Self.oriented(UInt8(value), width, height).encoded()
            for settings in Self.settings { #expect(Self.agree(file, settings), "\(width) x \(height), \(settings)") }
        }
    }

    @Test func everyKindOfPNG() {
        for source in PNGSource.all {
            let file = source.encoded()
            for alpha in AlphaPolicy.allCases {
                for settings in Self.settings where settings.filter == .bicubic {
                    #expect(Self.agree(file, settings, DecodingOptions(alpha: alpha)), "\(source), \(settings)")
                }
            }
        }
    }

    @Test(arguments: Cases.list("jpeg", "jpg")) func everyKindOfJPEG(_ url: URL) throws {
        let file = try Cases.bytes(url)
        for settings in Self.settings where settings.filter == .bilinear || settings.filter == .lanczos {
            for isFast in [false, true] {
                #expect(Self.agree(file, settings, DecodingOptions(isFast: isFast)), "\(settings)")
            }
        }
    }

    @Test func everyKindOfBMPAndGIF() {
        var files = BMPSource.all.map { ($0.description, $0.encoded()) }
        files += GIFSource.all.map { ($0.description, $0.encoded()) }
        for (name, file) in files {
            for settings in Self.settings where settings.filter == .bilinear {
                #expect(Self.agree(file, settings), "\(name), \(settings)")
            }
        }
    }

    /// An orientation that comes after the pixels, and one that a second chunk contradicts.
    @Test func anOrientationBehindThePixelsCounts() throws {
        let settings = Self.settings[0]
        var file = Self.oriented(1, 11, 9).encoded()
        let turned = PNGFile.chunk("eXIf", OrientationTests.exif(value: 6))
        file.insert(contentsOf: turned, at: file.count - 12)
        #expect(Self.agree(file, settings))
        var late = Self.oriented(1, 11, 9)
        late.extra = []
        file = late.encoded()
        file.insert(contentsOf: turned, at: file.count - 12)
        #expect(Self.agree(file, settings))
        #expect(try Self.streamed(file, settings, DecodingOptions()).get() == (try #require(Self.six)))
    }

    private static var six: RGBImage? {
        try? whole(oriented(6, 11, 9).encoded(), settings[0], DecodingOptions()).get()
    }

    @Test(arguments: DamageTests.files.keys.sorted()) func everyTruncation(_ name: String) throws {
        let file = try #require(DamageTests.files[name])
        let settings = Self.settings[0]
        for length in 0..<file.count {
            let cut = Array(file[..<length])
            #expect(Self.agree(cut, settings), "cut to \(length)")
            let isWhole = length >= file.count - DamageTests.bytesBehindPixels(name)
            #expect(((try? Self.streamed(cut, settings, DecodingOptions()).get()) != nil) == isWhole)
        }
    }

    @Test(arguments: ["tiny.jpg", "tiny_progressive.jpg", "420.jpg", "cmyk.jpg", "restarts.jpg", "exif6.jpg"])
    func damageAnywhereInAJPEG(_ name: String) throws {
        let file = try Cases.bytes("jpeg", name)
        let options = DecodingOptions(maximumPixels: 1 << 20)
        for bit in stride(from: 0, to: file.count * 8, by: max(1, file.count * 8 / 900)) {
            var damaged = file
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(Self.agree(damaged, Self.settings[0], options), "bit \(bit)")
        }
        for length in stride(from: 3, to: file.count, by: max(1, file.count / 300)) {
            #expect(Self.agree(Array(file[..<length]) + [0xFF, 0xD9], Self.settings[0], options), "ended at \(length)")
        }
    }

    @Test(arguments: DamageTests.files.keys.filter { $0.hasPrefix("PNG") }.sorted())
    func damageAnywhereInAPNG(_ name: String) throws {
        let file = try #require(DamageTests.files[name])
        for bit in stride(from: 0, to: file.count * 8, by: 5) {
            var damaged = file
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(Self.agree(damaged, Self.settings[0], DecodingOptions(maximumPixels: 1 << 20)), "bit \(bit)")
        }
    }

    @Test func limitsAndSettingsThatCannotBe() {
        let file = Self.oriented(6, 11, 9).encoded()
        #expect(Self.agree(file, Self.settings[0], DecodingOptions(maximumPixels: 98)))
        let long = Preprocessing(
            target: .shortestEdge(16000), filter: .bilinear, crop: nil, rescaleFactor: nil, normalization: nil)
        #expect(Self.agree(file, long))
        // Damage counts before the size of the result.
        #expect(Self.agree(Array(file.dropLast(20)), long))
    }

    /// The rows of a large picture come through a buffer of a few rows, all of them, in order.
    @Test(arguments: [(3000, 40), (64, 3000), (7000, 3)]) func aLargePictureIsNeverHeld(
        _ width: Int, _ height: Int
    ) throws {
        let source = Self.oriented(1, width, height)
        var rows: [UInt8] = []
        var places: Set<UInt> = []
        try source.encoded().withUnsafeBytes { bytes in
            var reader = try PictureReader(bytes, DecodingOptions())
            try reader.start(least: nil)
            try reader.readEachRow { row in
                rows += UnsafeBufferPointer(start: row, count: width * 3)
                places.insert(UInt(bitPattern: row))
            }
        }
        #expect(rows == source.expected(.white).pixels)
        #expect(places.count * width * 3 <= max(16384, width * 3))
    }
}
