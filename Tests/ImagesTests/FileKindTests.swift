import Images
import Testing

/// What the reason says of files that are something else.
@Suite struct FileKindTests {
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func box(_ brand: String, _ others: [String] = []) -> [UInt8] {
        let length = UInt8(16 + others.count * 4)
        return [0, 0, 0, length] + text("ftyp\(brand)\0\0\0\0") + others.flatMap { text($0) }
    }

    /// A TIFF file with one directory.
    private static func tiff(_ entries: [[UInt8]], _ rest: String = "") -> [UInt8] {
        [0x49, 0x49, 0x2A, 0, 8, 0, 0, 0, UInt8(entries.count), 0] + entries.flatMap { $0 } + [0, 0, 0, 0]
            + text(rest)
    }

    private static let reduced: [UInt8] = [0xFE, 0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    private static let nikon: [UInt8] = [0x0F, 1, 2, 0, 18, 0, 0, 0, 38, 0, 0, 0]

    /// Files, their names, and the programs that convert them if any is named.
    private static let pictures: [(file: [UInt8], name: String, converter: String?)] = {
        var all: [(file: [UInt8], name: String, converter: String?)] = []
        let raw = "darktable-cli"
        all.append((tiff([[0x12, 0xC6, 1, 0, 4, 0, 0, 0, 1, 4, 0, 0]]), "a raw (DNG) picture", raw))
        all.append((tiff([reduced, nikon], "NIKON CORPORATION"), "a raw (Nikon NEF) picture", raw))
        all.append(([0x49, 0x49, 0x2A, 0, 16, 0, 0, 0] + text("CR") + [2, 0], "a raw (Canon CR2) picture", raw))
        all.append((box("crx "), "a raw (Canon CR3) picture", raw))
        all.append((text("FUJIFILMCCD-RAW 0201"), "a raw (Fujifilm RAF) picture", raw))
        all.append((box("avif", ["mif1", "miaf"]), "an AVIF picture", "avifdec"))
        all.append((box("mif1", ["avif"]), "an AVIF picture", "avifdec"))
        all.append((box("heic", ["mif1"]), "a HEIC picture", "heif-convert"))
        all.append((box("mif1", ["heic"]), "a HEIC picture", "heif-convert"))
        all.append((box("mif1"), "a HEIF picture", "heif-convert"))
        all.append(([0xFF, 0x0A, 1, 2], "a JPEG XL picture", "djxl"))
        all.append(([0, 0, 0, 12] + text("JXL \r\n"), "a JPEG XL picture", "djxl"))
        all.append(([0, 0, 0, 12] + text("jP  \r\n"), "a JPEG 2000 picture", "opj_decompress"))
        all.append((text("<svg xmlns='http://www.w3.org/2000/svg'/>"), "an SVG picture", "rsvg-convert"))
        all.append((text("<?xml version='1.0'?>\n<!-- x -->\n<svg/>"), "an SVG picture", "rsvg-convert"))
        all.append(([0, 0, 1, 0, 1, 0] + [UInt8](repeating: 0, count: 16), "a Windows icon (ICO) picture", nil))
        all.append((text("8BPS\0\u{1}"), "a Photoshop (PSD) picture", nil))
        all.append((text("P6\n2 2\n255\n") + [0, 1, 2], "a PPM picture", nil))
        all.append(([0x0A, 5, 1, 8], "a PCX picture", nil))
        all.append((text("FORM\0\0\0\u{1}ILBMBMHD"), "an IFF (ILBM) picture", nil))
        all.append(([0x59, 0xA6, 0x6A, 0x95, 0], "a Sun raster picture", nil))
        return all
    }()

    @Test(arguments: pictures.indices) func picturesOfOtherFormats(_ index: Int) {
        let (bytes, name, converter) = Self.pictures[index]
        let advice = converter.map { "convert it with \($0)" } ?? "convert it to PNG or JPEG"
        #expect(
            failure(bytes)
                == ImageError(kind: .unknownFormat, reason: "\(name) is not supported; \(advice)", format: name))
    }

    private static let others: [(file: [UInt8], name: String)] = {
        var all: [(file: [UInt8], name: String)] = []
        all.append((text("<!DOCTYPE html><html>403"), "an HTML page"))
        all.append((text("\u{FEFF}\n <HTML>"), "an HTML page"))
        all.append((text("<?xml version='1.0'?><Error/>"), "an XML file"))
        all.append((text("{\"error\": 404}"), "a JSON file"))
        all.append((text("no picture\n"), "a text file"))
        all.append((text("Straße"), "a text file"))
        all.append(([0xFF, 0xFE, 65, 0], "a text file (UTF-16)"))
        all.append(([0, 5, 0x16, 7, 0, 2], "an AppleDouble file of macOS"))
        all.append((text("PK\u{3}\u{4}"), "a ZIP archive"))
        all.append(([0x1F, 0x8B, 8], "gzip data"))
        return all
    }()

    @Test(arguments: others.indices) func filesThatAreNoPictures(_ index: Int) {
        let (bytes, name) = Self.others[index]
        #expect(failure(bytes) == ImageError(kind: .unknownFormat, reason: "not a picture but \(name)", format: name))
    }

    private static let videos: [(file: [UInt8], name: String)] = {
        var all: [(file: [UInt8], name: String)] = []
        all.append((box("qt  "), "a QuickTime (MOV) video"))
        all.append((box("isom"), "an MP4 video"))
        all.append((box("mp42", ["isom"]), "an MP4 video"))
        all.append((box("xxxx"), "an MP4 video"))
        all.append(([0, 0, 0, 8] + text("wide\0\0\0\0mdat"), "a QuickTime video"))
        all.append((text("RIFF\u{1}\u{1}\u{1}\u{1}AVI LIST"), "an AVI video"))
        return all
    }()

    @Test(arguments: videos.indices) func films(_ index: Int) {
        let (bytes, name) = Self.videos[index]
        #expect(failure(bytes)?.reason == "not a picture but \(name); ffmpeg takes pictures from it")
    }

    @Test func whatElseThereIsToSay() {
        #expect(
            failure(Self.text("%PDF-1.7"))?.reason
                == "not a picture but a PDF document; pdftoppm makes pictures of its pages")
        let pointer = Self.text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        #expect(failure(pointer)?.reason == "not a picture but a Git LFS pointer; git lfs pull gets the file itself")
        #expect(
            failure([UInt8](repeating: 0, count: 4096))?.reason
                == "not a picture but all zeros; the file was not written to its end")
        #expect(
            failure([0x12, 0x34, 0x56, 0x78, 0, 1])?.reason == "not a known picture format (starts with 12 34 56 78)")
        #expect(failure([0, 0, 0, 0, 1])?.reason == "not a known picture format (starts with 00 00 00 00)")
    }

    @Test func transfersAsText() throws {
        let png = PNGSource.all[0].encoded()
        let jpeg = try Cases.bytes("jpeg", "tiny.jpg")
        func replaced(_ bytes: [UInt8], _ from: [UInt8], _ to: [UInt8]) -> [UInt8] {
            bytes.split(separator: from, omittingEmptySubsequences: false).map(Array.init).joined(separator: to).map {
                $0
            }
        }
        let lineEnds = "a PNG damaged by a transfer as text (line ends); copy it again as binary data"
        for (from, to) in [([13, 10], [10]), ([10], [13, 10]), ([13, 10], [13]), ([10], [13])] as [([UInt8], [UInt8])] {
            #expect(failure(replaced(png, from, to)) == ImageError(kind: .damaged, reason: lineEnds), "\(from), \(to)")
        }
        #expect(failure(png.map { $0 & 127 })?.reason == lineEnds)
        for (file, name) in [(png, "PNG"), (jpeg, "JPEG")] {
            let reason = "a \(name) damaged by a transfer as text (character set); copy it again as binary data"
            #expect(failure(Array(String(decoding: file, as: UTF8.self).utf8))?.reason == reason)
            #expect(failure(file.flatMap { Self.text(String(UnicodeScalar($0))) })?.reason == reason)
        }
    }

    /// Whatever a file begins with, telling its kind ends.
    @Test func beginningsCutAnywhere() {
        for start in [
            Self.tiff([Self.reduced, Self.nikon], "NIKON"), Self.box("mif1", ["heic"]), Self.text("BM(\0\0\0(\0(\0"),
        ] {
            for length in 0..<start.count {
                #expect(failure(Array(start[..<length])) != nil)
                for byte in [0, 1, 127, 255] as [UInt8] {
                    var other = start
                    other[length] = byte
                    #expect(failure(other) != nil)
                }
            }
        }
    }
}
