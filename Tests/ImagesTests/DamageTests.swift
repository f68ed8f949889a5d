import Images
import Tensors
import TestSupport
import Testing

/// Whatever happens to a file, there is either an error or the whole picture.
@Suite struct DamageTests {
    static let files: [String: [UInt8]] = {
        var files: [String: [UInt8]] = [:]
        for source in PNGSource.all where source.transparency != nil || source.channels == 2 {
            files["PNG, \(source)"] = source.encoded()
        }
        var turned = PNGSource(colorType: 0, depth: 8, width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6])
        turned.extra = [("eXIf", OrientationTests.exif(value: 6)), ("tEXt", Array("Title".utf8) + [0, 65])]
        files["PNG, turned"] = turned.encoded()
        for name in ["tiny", "tiny_progressive"] {
            files[name] = try? Cases.bytes("jpeg", "\(name).jpg")
        }
        return files
    }()

    /// How many bytes at the end of a file carry no pixel: IEND, or the end marker of a JPEG.
    static func bytesBehindPixels(_ name: String) -> Int { name.hasPrefix("PNG") ? 12 : 2 }

    @Test(arguments: files.keys.sorted())
    func refusesEveryTruncationOfThePixels(_ name: String) throws {
        let file = try #require(DamageTests.files[name])
        let whole = try RGBImage(decoding: file)
        for length in 0..<file.count {
            let cut = Array(file[..<length])
            if length < file.count - DamageTests.bytesBehindPixels(name) {
                #expect(failure(cut) != nil, "cut to \(length) of \(file.count) bytes")
            } else {
                #expect(try RGBImage(decoding: cut) == whole, "cut to \(length) of \(file.count) bytes")
            }
        }
    }

    @Test(arguments: [
        "420", "422", "444", "cmyk", "gray", "optimized", "progressive", "restarts", "rgb", "ycck", "exif6",
    ])
    func readsAJPEGWithoutItsEndMarker(_ name: String) throws {
        let file = try Cases.bytes("jpeg", "\(name).jpg")
        let whole = try RGBImage(decoding: file)
        let body = Array(file.dropLast(2))
        let trailer: [UInt8] = [0, 0, 1, 10] + Array("SEFH".utf8) + [UInt8](repeating: 0, count: 200)
        for end in [[], [0xFF], trailer] as [[UInt8]] {
            #expect(try RGBImage(decoding: body + end) == whole)
            // A byte that is missing is made up from the trailer, if there is one.
            #expect(failure(body.dropLast() + end) != nil || end == trailer)
        }
        guard name != "progressive" else { return }
        // What follows the only scan may look like anything, such as another frame.
        let noise = Array(try Cases.bytes("jpeg", "tiny_progressive.jpg").dropFirst(2))
        #expect(try RGBImage(decoding: body + [0, 0] + noise) == whole)
    }

    @Test func aProgressiveJPEGWithoutItsLastScanNeedsAnEndMarker() throws {
        let file = try Cases.bytes("jpeg", "tiny_progressive.jpg")
        for scan in (0..<file.count - 1).filter({ file[$0] == 0xFF && file[$0 + 1] == 0xDA }).dropFirst() {
            #expect(failure(Array(file[..<scan])) != nil)
        }
    }

    @Test func readsAPNGWhoseEndIsDamaged() throws {
        for source in PNGSource.all {
            let whole = source.expected(.white)
            let file = Array(source.encoded().dropLast(12))
            let comment = PNGFile.chunk("tEXt", Array("Title".utf8) + [0, 65])
            let late = PNGFile.chunk("tRNS", [UInt8](repeating: 0, count: source.channels == 3 ? 6 : 2))
            let ends: [[UInt8]] = [
                comment, comment.dropLast(4) + [0, 0, 0, 0], comment.dropLast(3), [0, 0, 0, 0] + Array("IEND".utf8),
                PNGFile.chunk("IEND", []).dropLast(1) + [0], late, [1, 2, 3], [UInt8](repeating: 255, count: 500),
            ]
            for end in ends { #expect(try RGBImage(decoding: file + end) == whole, "\(source), \(end)") }
            #expect(failure(file.dropLast()) != nil)
        }
    }

    /// Transparency that libpng warns of, or drops.
    @Test func readsTransparencyThatIsOddButClear() throws {
        for source in PNGSource.all where !source.isInterlaced {
            var odd = source
            func same(_ transparency: [Int], _ expected: RGBImage) throws {
                odd.transparency = transparency
                #expect(try RGBImage(decoding: odd.encoded()) == expected, "\(source), \(transparency)")
            }
            switch (source.colorType, source.transparency) {
            case (0, let key?) where source.depth < 16, (2, let key?) where source.depth < 16:
                // Only the low bits of a sample count.
                try same(key.map { $0 | (0x5500 << source.depth & 0xFFFF) }, source.expected(.white))
                odd.transparency = key
                odd.extra = [("tRNS", [UInt8](repeating: 0, count: key.count * 2))]
                #expect(try RGBImage(decoding: odd.encoded()) == source.expected(.white), "the first of two counts")
            case (3, let alphas?):
                let full = alphas + [Int](repeating: 255, count: source.palette.count - alphas.count)
                try same(full + [0, 128, 7], source.expected(.white))
                odd.transparency = nil
                try same([], odd.expected(.white))
            case (4, _), (6, _):
                odd.extra = [("tRNS", [UInt8](repeating: 0, count: source.colorType == 4 ? 2 : 6))]
                #expect(try RGBImage(decoding: odd.encoded()) == source.expected(.white))
            default: continue
            }
        }
    }

    @Test func refusesTransparencyThatReadersTakeDifferently() throws {
        var source = try #require(PNGSource.all.first { $0.colorType == 2 && $0.depth == 8 && $0.transparency == nil })
        for length in [0, 2, 8] {
            source.extra = [("tRNS", [UInt8](repeating: 0, count: length))]
            #expect(failure(source.encoded())?.reason.hasPrefix("PNG: tRNS: ") == true)
        }
        // A palette that is only a suggestion, behind the transparency: libpng would drop that.
        source.extra = [("tRNS", [0, 1, 0, 2, 0, 3]), ("PLTE", [1, 2, 3])]
        #expect(failure(source.encoded())?.reason.contains("tRNS") == true)
    }

    @Test(arguments: files.keys.filter { $0.hasPrefix("PNG") }.sorted())
    func noticesEveryFlippedBitOfAPNG(_ name: String) throws {
        let file = try #require(DamageTests.files[name])
        let whole = try RGBImage(decoding: file)
        for bit in 0..<file.count * 8 {
            var damaged = file
            damaged[bit / 8] ^= 1 << (bit % 8)
            let image = try? RGBImage(decoding: damaged)
            #expect(image == nil || image == whole, "bit \(bit)")
        }
    }

    @Test(arguments: ["tiny", "tiny_progressive"])
    func survivesEveryFlippedBitOfAJPEG(_ name: String) throws {
        let file = try #require(DamageTests.files[name])
        expectSurvival(ofFlippedBitsIn: file, step: 3, maximumPixels: 1 << 22)
    }

    @Test func survivesNoise() {
        var generator = SplitMix64(state: 5)
        for start in [[0xFF, 0xD8, 0xFF], [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]] as [[UInt8]] {
            for _ in 0..<300 {
                let length = Int.random(in: 0..<400, using: &generator)
                let noise = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                #expect(failure(start + noise) != nil)
            }
        }
    }

    @Test func namesTheDamage() throws {
        var png = PNGSource.all[8].encoded()
        #expect(failure(Array(png.dropLast(13)))?.reason == "PNG: premature end of data")
        png[png.count - 13] ^= 1
        #expect(failure(png)?.reason == "PNG: IDAT: CRC error")
        let jpeg = try Cases.bytes("jpeg", "444.jpg")
        #expect(failure(Array(jpeg.dropLast(200)))?.reason == "JPEG: premature end of data")
        // The end marker put early: the library would fill the rest with gray.
        #expect(
            failure(Array(jpeg.dropLast(800)) + [0xFF, 0xD9])?.reason == "JPEG: premature end of data segment")
    }

    @Test func refusesATransparencyItCannotTrust() throws {
        var file = try #require(PNGSource.all.first { $0.colorType == 3 && $0.transparency != nil }).encoded()
        let chunk = try #require((0..<file.count).first { file[$0...].starts(with: Array("tRNS".utf8)) })
        file[chunk + 4] ^= 1
        #expect(failure(file)?.reason == "PNG: tRNS: CRC error")
    }

    @Test func acceptsBytesAfterTheEnd() throws {
        let jpeg = try Cases.bytes("jpeg", "tiny.jpg")
        #expect(try RGBImage(decoding: jpeg + [1, 2, 3]) == RGBImage(decoding: jpeg))
        let png = PNGSource.all[0].encoded()
        #expect(try RGBImage(decoding: png + [1, 2, 3]) == RGBImage(decoding: png))
    }

    @Test func limitsTheScansOfAProgressiveJPEG() throws {
        let bomb = try Cases.bytes("damage", "many_scans.jpg")
        #expect(failure(bomb) == ImageError(kind: .unsupported, reason: "JPEG: too many scans"))
    }

    @Test func tellsPaddingFromMisreadData() throws {
        let file = try Cases.bytes("jpeg", "restarts.jpg")
        let padded = file.dropLast(2) + [0, 0, 0, 0xFF, 0xD9]
        #expect(try RGBImage(decoding: Array(padded)) == RGBImage(decoding: file))
        let restart = try #require((0..<file.count - 1).first { file[$0] == 0xFF && file[$0 + 1] == 0xD0 })
        for padding in [[0, 0, 0], [0xFF, 0, 0, 0, 0xFF], [UInt8](repeating: 0, count: 50)] as [[UInt8]] {
            #expect(try RGBImage(decoding: file[..<restart] + padding + file[restart...]) == RGBImage(decoding: file))
        }
        let misread = file[..<restart] + [0, 1, 0] + file[restart...]
        #expect(failure(Array(misread))?.reason.hasPrefix("JPEG: 3 extraneous bytes before marker") == true)
        let lost = file[..<restart] + file[(restart + 2)...]
        #expect(failure(Array(lost)) != nil)
    }

    @Test func refusesDetailsOfWhatWasNeverSent() throws {
        let file = try Cases.bytes("jpeg", "tiny_progressive.jpg")
        let scans = (0..<file.count - 1).filter { file[$0] == 0xFF && file[$0 + 1] == 0xDA }
        let (first, second) = (try #require(scans.first), try #require(scans.dropFirst().first))
        let end: [UInt8] = [0xFF, 0xD9]
        #expect(failure(Array(file[..<second]) + end) == nil, "the means alone are a picture, if a coarse one")
        #expect(failure(Array(file[..<first] + file[second...])) != nil)
    }
}

/// Expects that a file with any bit flipped, or every `step`th, is an error or a picture.
func expectSurvival(ofFlippedBitsIn file: [UInt8], step: Int = 1, maximumPixels: Int) {
    for bit in stride(from: 0, to: file.count * 8, by: step) {
        var damaged = file
        damaged[bit / 8] ^= 1 << (bit % 8)
        if let image = try? RGBImage(decoding: damaged, options: DecodingOptions(maximumPixels: maximumPixels)) {
            #expect(image.pixels.count == image.width * image.height * 3)
        }
    }
}
