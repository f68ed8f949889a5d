import Files
import Images

/// Thumbnails of a model's most confident mistakes.
struct MistakeGallery {
    /// One picture.
    struct Item {
        let path: BytePath
        /// The true class, labels or values.
        let truth: String
        /// The wrong predictions, one line each.
        let predictions: [String]
    }

    let items: [Item]
    /// The folder that displayed paths are relative to.
    let folder: BytePath
    let thumbnail: Thumbnail

    /// The maximum number of pictures.
    static let limit = 12

    private func shown(_ path: BytePath) -> String {
        let prefix = folder.appending([]).bytes
        return BytePath(path.bytes.starts(with: prefix) ? Array(path.bytes.dropFirst(prefix.count)) : path.bytes)
            .description
    }

    /// The pictures with their true and predicted labels.
    var html: HTML {
        .element("div", ["class": "pictures"]) {
            for item in items {
                HTML.element("figure") {
                    if let address = thumbnail.address(of: item.path) {
                        HTML.void("img", ["src": address, "alt": item.truth, "loading": "lazy"])
                    } else {
                        HTML.element("div", ["class": "absent"]) { "not readable" }
                    }
                    HTML.element("figcaption") {
                        HTML.element("strong") { item.truth }
                        for prediction in item.predictions {
                            HTML.void("br")
                            prediction
                        }
                        HTML.void("br")
                        HTML.element("code", ["title": item.path.description]) { shown(item.path) }
                    }
                }
            }
        }
    }
}

/// Thumbnails of image files, embedded in a page.
struct Thumbnail {
    /// The maximum of the longer side in pixels: twice the displayed size, for screens of double density.
    private static let side = 192
    private static let quality = 78
    private static let largestFile = 1 << 30

    private let decoding: DecodingOptions

    init(decoding: DecodingOptions) { self.decoding = decoding }

    /// The thumbnail of a file as a `data:` URL of a JPEG; nil when the file cannot be read.
    func address(of path: BytePath) -> String? { try? loaded(path) }

    /// The thumbnail of a file as a `data:` URL of a JPEG.
    ///
    /// - Throws: why the file cannot be read or decoded, without its name.
    func loaded(_ path: BytePath) throws -> String {
        var reader = FileReader(limit: Self.largestFile)
        var address = ""
        try reader.read(path) { content in
            let picture = try RGBImage.thumbnail(decoding: content, side: Self.side, options: decoding)
            address = "data:image/jpeg;base64," + Self.base64(try picture.encodedAsJPEG(quality: Self.quality))
        }
        return address
    }

    /// Base64 (RFC 4648, section 4).
    static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (16 - 8 * $1.offset) }
            for place in 0..<4 {
                text.append(place <= group.count ? digits[Int(bits >> (18 - 6 * place)) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
