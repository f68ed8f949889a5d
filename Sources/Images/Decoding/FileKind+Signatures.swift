extension FileKind {
    /// The bytes at a fixed offset by which a kind is recognized.
    struct Signature {
        let kind: FileKind
        let bytes: [UInt8]
        var offset = 0

        init(_ bytes: [UInt8], _ kind: FileKind, at offset: Int = 0) {
            (self.kind, self.bytes, self.offset) = (kind, bytes, offset)
        }

        init(_ text: String, _ kind: FileKind, at offset: Int = 0) { self.init(Array(text.utf8), kind, at: offset) }

        func matches(_ data: UnsafeRawBufferPointer) -> Bool { data.dropFirst(offset).starts(with: bytes) }
    }

    /// The signatures in order of precedence.
    static let signatures: [Signature] = [
        Signature("GIF8", .picture("a GIF")), Signature("8BPS", .picture("a Photoshop (PSD)")),
        Signature([0xFF, 0x0A], .picture("a JPEG XL", converter: "djxl")),
        Signature([0, 0, 0, 12] + Array("JXL ".utf8), .picture("a JPEG XL", converter: "djxl")),
        Signature([0, 0, 0, 12] + Array("jP  ".utf8), .picture("a JPEG 2000", converter: "opj_decompress")),
        Signature([0xFF, 0x4F, 0xFF, 0x51], .picture("a JPEG 2000", converter: "opj_decompress")),
        Signature([0x49, 0x49, 0xBC, 1], .picture("a JPEG XR", converter: "JxrDecApp")),
        Signature([0x8A, 0x4D, 0x4E, 0x47], .picture("an MNG")),
        Signature([0x8B, 0x4A, 0x4E, 0x47], .picture("a JNG")), Signature("qoif", .picture("a QOI")),
        Signature([0x76, 0x2F, 0x31, 0x01], .picture("an OpenEXR")),
        Signature("#?RADIANCE", .picture("a Radiance HDR")),
        Signature("DDS ", .picture("a DDS")), Signature("gimp xcf", .picture("a GIMP (XCF)")),
        Signature("icns", .picture("an Apple icon (ICNS)")), Signature("SIMPLE  =", .picture("a FITS")),
        Signature("DICM", .picture("a DICOM"), at: 128), Signature("AT&TFORM", .picture("a DjVu", converter: "ddjvu")),
        Signature([0x42, 0x50, 0x47, 0xFB], .picture("a BPG")), Signature("FLIF", .picture("a FLIF")),
        Signature([0xD7, 0xCD, 0xC6, 0x9A], .picture("a WMF")), Signature("/* XPM */", .picture("an XPM")),
        Signature([0x0A, 0, 1], .picture("a PCX")), Signature([0x0A, 2, 1], .picture("a PCX")),
        Signature([0x0A, 3, 1], .picture("a PCX")), Signature([0x0A, 4, 1], .picture("a PCX")),
        Signature([0x0A, 5, 1], .picture("a PCX")), Signature([0xB1, 0x68, 0xDE, 0x3A], .picture("a DCX")),
        Signature([0x01, 0xDA, 0], .picture("an SGI")), Signature([0x01, 0xDA, 1], .picture("an SGI")),
        Signature([0x59, 0xA6, 0x6A, 0x95], .picture("a Sun raster")), Signature("SDPX", .picture("a DPX")),
        Signature("XPDS", .picture("a DPX")), Signature([0x80, 0x2A, 0x5F, 0xD7], .picture("a Cineon")),
        Signature("farbfeld", .picture("a farbfeld")), Signature("ILBM", .picture("an IFF (ILBM)"), at: 8),
        Signature("id=ImageMagick", .picture("a MIFF")),
        Signature("PSP Image File", .picture("a Paint Shop Pro"), at: 6),
        Signature([0x97, 0x4A, 0x42, 0x32, 0x0D, 0x0A, 0x1A, 0x0A], .picture("a JBIG2")),
        Signature([0xAB, 0x4B, 0x54, 0x58, 0x20], .picture("a KTX")), Signature(" EMF", .picture("an EMF"), at: 40),
        Signature("n+1\0", .picture("a NIfTI"), at: 344), Signature("NRRD0", .picture("an NRRD")),
        // Raw formats of cameras that are not based on TIFF; see `raw` for the others.
        Signature("IIRO", .raw("Olympus ORF")), Signature("IIRS", .raw("Olympus ORF")),
        Signature("MMOR", .raw("Olympus ORF")), Signature("IIU\0", .raw("Panasonic RW2")),
        Signature("FUJIFILMCCD-RAW", .raw("Fujifilm RAF")),
        Signature("FOVb", .raw("Sigma X3F")),
        Signature([0] + Array("MRM".utf8), .raw("Minolta MRW")),

        Signature([0, 5, 0x16, 7], FileKind("an AppleDouble file of macOS")),
        Signature([0, 5, 0x16, 0], FileKind("an AppleSingle file")),
        Signature("%PDF-", FileKind("a PDF document", advice: "pdftoppm makes pictures of its pages")),
        Signature("%!PS", FileKind("a PostScript document", advice: "gs makes pictures of its pages")),
        Signature(
            [0xC5, 0xD0, 0xD3, 0xC6], FileKind("a PostScript document", advice: "gs makes pictures of its pages")),
        Signature("PK\u{3}\u{4}", FileKind("a ZIP archive")), Signature("PK\u{5}\u{6}", FileKind("a ZIP archive")),
        Signature([0x1F, 0x8B], FileKind("gzip data")), Signature("BZh", FileKind("bzip2 data")),
        Signature([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], FileKind("xz data")),
        Signature([0x28, 0xB5, 0x2F, 0xFD], FileKind("Zstandard data")),
        Signature([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], FileKind("a 7-Zip archive")),
        Signature("Rar!", FileKind("a RAR archive")), Signature("ustar", FileKind("a tar archive"), at: 257),
        Signature([0x1A, 0x45, 0xDF, 0xA3], .video("a Matroska or WebM")),
        Signature([0, 0, 1, 0xBA], .video("an MPEG")), Signature([0, 0, 1, 0xB3], .video("an MPEG")),
        Signature("FLV\u{1}", .video("a Flash")), Signature("OggS", FileKind("an Ogg file")),
        Signature("ID3", FileKind("an MP3 file")), Signature("fLaC", FileKind("a FLAC file")),
        Signature([0x93] + Array("NUMPY".utf8), FileKind("a NumPy array")),
        Signature([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A], FileKind("an HDF5 file")),
        Signature("SQLite format 3\0", FileKind("an SQLite database")),
        Signature("PAR1", FileKind("a Parquet file")),
        Signature(
            [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
            FileKind("an OLE file such as Thumbs.db or an Office document")),
        Signature([0, 0, 0, 1] + Array("Bud1".utf8), FileKind("a .DS_Store file of macOS")),
        Signature([0x7F, 0x45, 0x4C, 0x46], FileKind("a program (ELF)")),
    ]

    /// Containers with a name of their content: RIFF, and boxes as in MP4.
    static func container(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        func text(_ offset: Int) -> String { String(decoding: bytes.dropFirst(offset).prefix(4), as: UTF8.self) }
        if text(0) == "RIFF", bytes.count >= 12 {
            switch text(8) {
            case "AVI ": return .video("an AVI")
            case "WAVE": return FileKind("a WAV file")
            default: return FileKind("a RIFF file (\"\(text(8))\")")
            }
        }
        guard bytes.count >= 12 else { return nil }
        switch text(4) {
        case "ftyp":
            let end = min(Int(bytes.loadUnaligned(as: UInt32.self).bigEndian), 256)
            // The brand, its version, and the compatible brands.
            let brands = [text(8)] + stride(from: 16, to: max(end, 16), by: 4).map(text)
            if let kind = brands.lazy.compactMap({ FileKind.brands[$0] }).first { return kind }
            return brands.contains("mif1") || brands.contains("msf1")
                ? .picture("a HEIF", converter: "heif-convert") : .video("an MP4")
        case "moov", "mdat", "wide", "pnot": return .video("a QuickTime")
        default: return nil
        }
    }

    private static let brands: [String: FileKind] = {
        var brands: [String: FileKind] = [:]
        for brand in ["avif", "avis"] { brands[brand] = .picture("an AVIF", converter: "avifdec") }
        for brand in ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"] {
            brands[brand] = .picture("a HEIC", converter: "heif-convert")
        }
        brands["crx "] = .raw("Canon CR3")
        brands["jxl "] = .picture("a JPEG XL", converter: "djxl")
        brands["qt  "] = .video("a QuickTime (MOV)")
        brands["M4A "] = FileKind("an MP4 sound file")
        for brand in [
            "isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1", "M4V ", "MSNV", "3gp4", "3gp5", "3g2a",
        ] {
            brands[brand] = .video("an MP4")
        }
        return brands
    }()

    /// A raw format of a camera that is based on TIFF.
    static func raw(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        guard isTIFF(bytes) else { return nil }
        if bytes.dropFirst(8).starts(with: Array("CR".utf8)) { return .raw("Canon CR2") }
        let isLittleEndian = bytes[0] == 0x49
        func number(_ offset: Int, _ count: Int) -> Int {
            let part = bytes.dropFirst(offset).prefix(count)
            return (isLittleEndian ? Array(part.reversed()) : Array(part)).reduce(0) { $0 << 8 | Int($1) }
        }
        let directory = number(4, 4)
        var make = ""
        var isReduced = false
        for index in 0..<number(directory, 2) {
            let entry = directory + 2 + index * 12
            guard entry + 12 <= bytes.count else { break }
            switch number(entry, 2) {
            case 0xC612: return .raw("DNG")
            case 0x010F:
                let offset = number(entry + 4, 4) > 4 ? number(entry + 8, 4) : entry + 8
                make = String(decoding: bytes.dropFirst(offset).prefix(5), as: UTF8.self).uppercased()
            // NewSubfileType 1: the first picture is a preview of another.
            case 0x00FE: isReduced = number(entry + 8, 4) & 1 == 1
            default: break
            }
        }
        let names = ["NIKON": "Nikon NEF", "SONY\0": "Sony ARW", "SONY ": "Sony ARW", "PENTA": "Pentax PEF"]
        return isReduced ? names[make].map { .raw($0) } : nil
    }

    private static func isTIFF(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let isLittleEndian = bytes.starts(with: [0x49, 0x49])
        return (isLittleEndian || bytes.starts(with: [0x4D, 0x4D])) && bytes.count >= 8
            && [0x2A, 0x2B].contains(bytes[isLittleEndian ? 2 : 3]) && bytes[isLittleEndian ? 3 : 2] == 0
    }

    /// A Windows icon or cursor: its type, the number of pictures, and the reserved byte of the first.
    static func icon(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        guard bytes.count >= 22, bytes[0] == 0, bytes[1] == 0, bytes[2] == 1 || bytes[2] == 2, bytes[3] == 0,
            bytes[4] > 0, bytes[9] == 0
        else { return nil }
        return .picture(bytes[2] == 1 ? "a Windows icon (ICO)" : "a Windows cursor (CUR)")
    }

    /// A file of zeros, as an interrupted transfer leaves it.
    static func zeros(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        bytes.allSatisfy { $0 == 0 } ? FileKind("all zeros", advice: "the file was not written to its end") : nil
    }

    /// Targa has its signature at the end.
    static func targa(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        bytes.suffix(18).starts(with: Array("TRUEVISION-XFILE".utf8)) ? .picture("a Targa (TGA)") : nil
    }

    /// Text, by its beginning.
    static func text(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        var start = bytes.prefix(1024)
        if start.starts(with: [0xFF, 0xFE]) || start.starts(with: [0xFE, 0xFF]) {
            return FileKind("a text file (UTF-16)")
        }
        if start.starts(with: [0xEF, 0xBB, 0xBF]) { start = start.dropFirst(3) }
        let isControl: (UInt8) -> Bool = { $0 < 0x20 && !(0x07...0x0D).contains($0) && $0 != 0x1B || $0 == 0x7F }
        if start.contains(where: isControl) {
            // Netpbm files only start with text.
            return netpbm(bytes)
        }
        let text = String(decoding: start.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }, as: UTF8.self).lowercased()
        for tag in ["<!doctype html", "<html", "<head", "<body", "<script", "<meta", "<title"] where text.hasPrefix(tag)
        {
            return FileKind("an HTML page")
        }
        if text.hasPrefix("<"), text.contains("<svg") { return .picture("an SVG", converter: "rsvg-convert") }
        if text.hasPrefix("<?xml") {
            return text.contains("<html") ? FileKind("an HTML page") : FileKind("an XML file")
        }
        if text.hasPrefix("version https://git-lfs") {
            return FileKind("a Git LFS pointer", advice: "git lfs pull gets the file itself")
        }
        if text.hasPrefix("/annex/objects/") || text.contains(".git/annex/objects/") {
            return FileKind("a git-annex pointer", advice: "git annex get gets the file itself")
        }
        if text.hasPrefix("data:image/") || text.hasPrefix("/9j/") || text.hasPrefix("ivborw0kggo") {
            return FileKind("a picture written as Base64 text", advice: "decode it first")
        }
        if let picture = netpbm(bytes) { return picture }
        if text.hasPrefix("{") || text.hasPrefix("[{") || text.hasPrefix("[\"") { return FileKind("a JSON file") }
        // Bytes over 127 must be UTF-8, except for a character cut by the end of the prefix.
        let isUTF8 = (0..<4).contains { String(validating: start.dropLast($0), as: UTF8.self) != nil }
        return isUTF8 && start.count >= 2 ? FileKind("a text file") : nil
    }

    /// The plain formats of netpbm: P, a digit and white space.
    private static func netpbm(_ bytes: UnsafeRawBufferPointer) -> FileKind? {
        guard bytes.count >= 3, bytes[0] == UInt8(ascii: "P"), bytes[2] == 0x20 || (0x09...0x0D).contains(bytes[2])
        else { return nil }
        switch bytes[1] {
        case UInt8(ascii: "1"), UInt8(ascii: "4"): return .picture("a PBM")
        case UInt8(ascii: "2"), UInt8(ascii: "5"): return .picture("a PGM")
        case UInt8(ascii: "3"), UInt8(ascii: "6"): return .picture("a PPM")
        case UInt8(ascii: "7"): return .picture("a PAM")
        case UInt8(ascii: "F"), UInt8(ascii: "f"): return .picture("a PFM")
        default: return nil
        }
    }
}
