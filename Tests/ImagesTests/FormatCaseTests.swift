import Foundation
import Images
import Testing

/// Formats whose libraries may be missing.
enum Formats {
    static func areBuiltIn(_ names: String...) -> Bool {
        names.allSatisfy { name in PictureFormat.all.contains { $0.name == name && $0.isBuiltIn } }
    }
}

/// Files that programs wrote, decoded as Pillow decodes them; see make_format_cases.py.
@Suite struct FormatCaseTests {
    static let files: [URL] =
        (Formats.areBuiltIn("WebP") ? Cases.list("webp", "webp") : [])
        + (Formats.areBuiltIn("TIFF") ? Cases.list("tiff", "tif") : [])

    /// What is expected of a file, and whether its coding is that of JPEG, whose decoders differ.
    static func expected(_ url: URL, _ suffix: String = "") throws -> RGBImage? {
        let name = url.deletingPathExtension().lastPathComponent + suffix
        let folder = url.deletingLastPathComponent().lastPathComponent
        return try Cases.list(folder, "rgb").first { try Cases.parts($0).name == name }.map { try Cases.picture($0) }
    }

    @Test(arguments: files) func everyCodingIsReadAsPillowReadsIt(_ url: URL) throws {
        let bytes = try Cases.bytes(url)
        let most = url.lastPathComponent.hasPrefix("jpeg") ? 2 : 0
        let picture = try RGBImage(decoding: bytes)
        let expected = try #require(try Self.expected(url))
        #expect(try #require(difference(picture, expected)) <= most)
        if let opaque = try Self.expected(url, "-ignore") {
            #expect(try RGBImage(decoding: bytes, options: DecodingOptions(alpha: .ignore)) == opaque)
            #expect(picture != opaque)
        }
    }

    /// A file that is cut is refused, unless what is missing carries no pixel.
    @Test(arguments: files) func everyTruncationIsAnErrorOrTheWholePicture(_ url: URL) throws {
        let bytes = try Cases.bytes(url)
        let whole = try RGBImage(decoding: bytes)
        var cuts = 0
        for length in 0..<bytes.count {
            guard let picture = try? RGBImage(decoding: Array(bytes[..<length])) else { continue }
            #expect(picture == whole, "cut to \(length) of \(bytes.count) bytes")
            cuts += 1
        }
        // What follows the first frame or page is not read.
        let name = url.lastPathComponent
        #expect(cuts < bytes.count / 2 || name.contains("_part") || name == "pages.tif")
    }

    @Test(arguments: files) func everyChangedByteIsSurvived(_ url: URL) throws {
        let bytes = try Cases.bytes(url)
        for place in bytes.indices {
            for change in [1, 0x80, 0xFF] as [UInt8] where place < 120 || place % 13 == 0 {
                var damaged = bytes
                damaged[place] ^= change
                if let picture = try? RGBImage(decoding: damaged, options: DecodingOptions(maximumPixels: 1 << 20)) {
                    #expect(picture.pixels.count == picture.width * picture.height * 3)
                }
            }
        }
    }

    @Test func formatsThatAreNotBuiltInAreNamed() {
        for format in PictureFormat.all where !format.isBuiltIn {
            let file = format.name == "WebP" ? Array("RIFF\0\0\0\0WEBPVP8 ".utf8) : [0x49, 0x49, 42, 0, 8, 0, 0, 0]
            guard format.name == "WebP" || format.name == "TIFF" else { continue }
            #expect(
                failure(file)
                    == ImageError(
                        kind: .unsupported,
                        reason: "\(format.name): not built in; install \(format.package) and build mergevit again"))
        }
    }
}
