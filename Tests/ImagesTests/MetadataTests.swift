import Images
import TestSupport
import Testing

/// Orientations that are written elsewhere than in plain EXIF: XMP, and metadata as text in PNG.
@Suite struct MetadataTests {
    static func packet(_ rest: String, namespace: String = "xmlns:tiff=\"http://ns.adobe.com/tiff/1.0/\"") -> [UInt8] {
        Array(
            ("<?xpacket begin=\"\u{FEFF}\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF>"
                + "<rdf:Description \(namespace) \(rest)</rdf:RDF></x:xmpmeta>").utf8)
    }

    static func attribute(_ value: Int) -> [UInt8] { packet("tiff:Orientation=\"\(value)\"/>") }

    static func element(_ value: Int) -> [UInt8] {
        packet("><tiff:Orientation>\(value)</tiff:Orientation></rdf:Description>")
    }

    /// The content of an iTXt chunk.
    static func international(_ keyword: String, _ text: [UInt8], isPacked: Bool = false) -> [UInt8] {
        Array(keyword.utf8) + [0, isPacked ? 1 : 0, 0, 0, 0] + (isPacked ? PNGFile.stored(text) : text)
    }

    /// ImageMagick's form of metadata.
    static func raw(_ name: String, _ data: [UInt8]) -> [UInt8] {
        let digits = data.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        var text = "\n\(name)\n\(String(repeating: " ", count: 4))\(data.count)\n"
        for start in stride(from: 0, to: digits.count, by: 36) {
            text += digits[start..<min(start + 36, digits.count)].joined() + "\n"
        }
        return Array(text.utf8)
    }

    static let exifHeader = Array("Exif\0\0".utf8)
    static let xmpHeader = Array("http://ns.adobe.com/xap/1.0/\0".utf8)

    private func png(_ extra: [(String, [UInt8])], behind: [(String, [UInt8])] = []) -> [UInt8] {
        var source = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        (source.extra, source.behind) = (extra, behind)
        return source.encoded()
    }

    private func jpeg(_ segments: [UInt8]...) throws -> [UInt8] {
        let file = try Cases.bytes("jpeg", "tiny.jpg")
        var result = Array(file[..<2])
        for segment in segments {
            let length = segment.count + 2
            result += [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)]
            result += segment
        }
        return result + file[2...]
    }

    /// Picture 1 2 3 / 4 5 6 as each orientation shows it.
    private static let turned: [[UInt8]] = [
        [1, 2, 3, 4, 5, 6], [3, 2, 1, 6, 5, 4], [6, 5, 4, 3, 2, 1], [4, 5, 6, 1, 2, 3],
        [1, 4, 2, 5, 3, 6], [4, 1, 5, 2, 6, 3], [6, 3, 5, 2, 4, 1], [3, 6, 2, 5, 1, 4],
    ]

    @Test(arguments: 1...8) func everyPlaceInAPNG(_ value: Int) throws {
        let exif = OrientationTests.exif(value: UInt8(value))
        let xmp = Self.element(value)
        func text(_ keyword: String, _ content: [UInt8]) -> (String, [UInt8]) {
            ("tEXt", Array(keyword.utf8) + [0] + content)
        }
        func packed(_ keyword: String, _ content: [UInt8]) -> (String, [UInt8]) {
            ("zTXt", Array(keyword.utf8) + [0, 0] + PNGFile.stored(content))
        }
        let header = Self.exifHeader
        let chunks: [(String, [UInt8])] = [
            ("iTXt", Self.international("XML:com.adobe.xmp", Self.attribute(value))),
            ("iTXt", Self.international("XML:com.adobe.xmp", xmp, isPacked: true)),
            text("XML:com.adobe.xmp", xmp), packed("XML:com.adobe.xmp", xmp),
            packed("Raw profile type exif", Self.raw("exif", header + exif)),
            text("Raw profile type exif", Self.raw("exif", exif)),
            ("iTXt", Self.international("Raw profile type exif", Self.raw("exif", header + header + exif))),
            packed("Raw profile type APP1", Self.raw("generic profile", header + exif)),
            text("Raw profile type APP1", Self.raw("APP1", Self.xmpHeader + xmp)),
            text("Raw profile type xmp", Self.raw("xmp", xmp)), text("exif", header + exif), ("eXIf", exif),
        ]
        let expected = Self.turned[value - 1].flatMap { [$0, $0, $0] }
        for chunk in chunks {
            #expect(try RGBImage(decoding: png([chunk])).pixels == expected, "\(chunk.0)")
            #expect(try RGBImage(decoding: png([], behind: [chunk])).pixels == expected, "\(chunk.0) behind the pixels")
        }
    }

    @Test func everyPlaceInAJPEG() throws {
        #expect(try RGBImage(decoding: jpeg(Self.xmpHeader + Self.attribute(6))).width == 12)
        #expect(try RGBImage(decoding: jpeg(Self.xmpHeader + Self.element(8))).width == 12)
        // EXIF data that goes on in a second segment, and a second structure, which does not count.
        let exif = OrientationTests.exif(value: 6)
        #expect(try RGBImage(decoding: jpeg(Self.exifHeader + exif[..<14], Self.exifHeader + exif[14...])).width == 12)
        let none = OrientationTests.exif(entries: 0)
        #expect(try RGBImage(decoding: jpeg(Self.exifHeader + none, Self.exifHeader + exif)).width == 16)
    }

    @Test func exifGoesBeforeXMP() throws {
        func width(_ exif: [UInt8], _ xmp: [UInt8]) throws -> Int {
            let packet = ("iTXt", Self.international("XML:com.adobe.xmp", xmp))
            let a = try RGBImage(decoding: jpeg(Self.exifHeader + exif, Self.xmpHeader + xmp)).width == 12
            let b = try RGBImage(decoding: png([("eXIf", exif), packet])).width == 2
            let c = try RGBImage(decoding: png([packet], behind: [("eXIf", exif)])).width == 2
            #expect(a == b && b == c)
            return a ? 12 : 16
        }
        #expect(try width(OrientationTests.exif(value: 1), Self.attribute(6)) == 16)
        #expect(try width(OrientationTests.exif(value: 6), Self.attribute(1)) == 12)
        // An orientation that means nothing is one.
        for value in [0, 9] as [UInt8] {
            #expect(try width(OrientationTests.exif(value: value), Self.attribute(6)) == 16)
        }
        // None: no entry, no value, an unknown type, no TIFF structure at all.
        let without = [
            OrientationTests.exif(entries: 0), OrientationTests.exif(count: 0, value: 1),
            OrientationTests.exif(type: 99, value: 1), Array("garbage!".utf8), [],
        ]
        for exif in without { #expect(try width(exif, Self.attribute(6)) == 12, "\(exif)") }
    }

    @Test(arguments: [
        ("tiff:Orientation='6'/>", true), ("tiff:Orientation = \"6\"/>", true), ("tiff:Orientation\n=\n' 6 '/>", true),
        ("><tiff:Orientation >6</tiff:Orientation>", true), ("><tiff:Orientation>\n 6\n</tiff:Orientation>", true),
        ("><tiff:Orientation rdf:datatype=\"x\">6</tiff:Orientation>", true), ("tiff:Orientation=\"1\"/>", false),
        ("tiff:Orientation=\"\" tiff:Orientation=\"6\"/>", true),
        ("tiff:Orientation=\"0\" tiff:Orientation=\"6\"/>", false),
        ("exif:Orientation=\"6\"/>", false), ("Orientation=\"6\"/>", false), ("tiff:OrientationX=\"6\"/>", false),
        ("tiff:Orientation=6/>", false), ("><tiff:Orientation/>6", false), ("tiff:Orientation", false),
        ("tiff:Orientation=", false), ("tiff:Orientation=\"", false),
    ]) func formsOfXMP(_ rest: String, _ isTurned: Bool) throws {
        #expect(try RGBImage(decoding: jpeg(Self.xmpHeader + Self.packet(rest))).width == (isTurned ? 12 : 16))
    }

    @Test func theNamespaceCounts() throws {
        for (declaration, prefix) in [
            ("xmlns:t='http://ns.adobe.com/tiff/1.0/'", "t"), ("xmlns:ns1 = \"http://ns.adobe.com/tiff/1.0/\"", "ns1"),
        ] {
            let packet = Self.packet("\(prefix):Orientation=\"6\"/>", namespace: declaration)
            #expect(try RGBImage(decoding: jpeg(Self.xmpHeader + packet)).width == 12)
            let other = Self.packet("x\(prefix):Orientation=\"6\"/>", namespace: declaration)
            #expect(try RGBImage(decoding: jpeg(Self.xmpHeader + other)).width == 16)
        }
    }

    @Test func absurdTextMeansUpright() throws {
        let profile = Array("Raw profile type exif\0".utf8)
        let good = Self.raw("exif", OrientationTests.exif(value: 6))
        var texts: [[UInt8]] = [Array("XML:com.adobe.xmp\0".utf8), Array("XML:com.adobe.xmp".utf8), [0], []]
        for text in ["", "\n", "\nexif\n", "\nexif\n 99999999999999999999\n49", "\nexif\n 8\nzz", "\nexif\n 0\n4949"] {
            texts.append(profile + Array(text.utf8))
        }
        texts.append(profile + good.prefix(40))
        for text in texts { #expect(try RGBImage(decoding: png([("tEXt", text)])).width == 3, "\(text)") }
        // Text that cannot be unpacked.
        let cut: [UInt8] = [0] + PNGFile.stored(Self.attribute(6)).prefix(20)
        for content in [[], [0], [1, 2], [0, 1, 2, 3], cut] as [[UInt8]] {
            let chunk = ("zTXt", Array("XML:com.adobe.xmp\0".utf8) + content)
            #expect(try RGBImage(decoding: png([chunk])).width == 3, "\(content)")
        }
    }

    @Test func whatIsBehindThePixelsIsCheckedWhereItCounts() throws {
        for name in ["eXIf", "iTXt"] {
            let content =
                name == "eXIf"
                ? OrientationTests.exif(value: 6) : Self.international("XML:com.adobe.xmp", Self.attribute(6))
            var file = png([], behind: [(name, content)])
            file[file.count - 20] ^= 1
            #expect(failure(file)?.reason == "PNG: \(name): CRC error")
        }
    }

    /// A deflate stream of nothing but zeros: matches of 258 bytes in 13 bits.
    private static func zeros(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = [0x78, 0x01]
        var (pending, used) = (UInt32(0), UInt32(0))
        func put(_ value: UInt32, _ bits: UInt32) {
            pending |= value << used
            used += bits
            while used >= 8 {
                bytes.append(UInt8(pending & 255))
                pending >>= 8
                used -= 8
            }
        }
        put(0b011, 3)
        put(0b0000_1100, 8)
        for _ in 0..<count / 258 { put(0b0_0000_1010_0011, 13) }
        put(0, 7)
        put(0, 8)
        return bytes
    }

    @Test func textThatExpandsIsBounded() throws {
        let (small, large) = (Self.zeros(1 << 20), Self.zeros(40 << 20))
        func file(_ keyword: String, _ content: [UInt8]) -> [UInt8] {
            png((0..<20).map { _ in ("zTXt", Array(keyword.utf8) + [0, 0] + content) })
        }
        #expect(try RGBImage(decoding: file("XML:com.adobe.xmp", small)).width == 3)
        #expect(failure(file("XML:com.adobe.xmp", large))?.kind == .unsupported)
        #expect(failure(file("Raw profile type APP1", large))?.kind == .unsupported)
        #expect(try RGBImage(decoding: file("Comment", large)).width == 3)
    }

    @Test func survivesEveryFlippedBit() throws {
        let good =
            Self.xmpHeader + Self.packet("t:Orientation='6'/>", namespace: "xmlns:t='http://ns.adobe.com/tiff/1.0/'")
        for bit in stride(from: 0, to: good.count * 8, by: 3) {
            var damaged = good
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(try RGBImage(decoding: jpeg(damaged)).pixels.count == 16 * 12 * 3)
        }
    }
}
