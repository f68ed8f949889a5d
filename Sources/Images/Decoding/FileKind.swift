/// The kind of a file that has no codec, recognized by its bytes.
///
/// It is used only for the error message.
struct FileKind: Equatable {
    /// The kind with its article, such as "a HEIC picture".
    let name: String
    /// Whether it is a picture, which can be converted.
    var isPicture = false
    /// What to do about it, if there is more to say.
    var advice: String?

    /// The error for bytes that no codec takes.
    static func problem(with bytes: UnsafeRawBufferPointer) -> ImageError {
        if bytes.isEmpty { return ImageError(kind: .empty, reason: "empty file") }
        if let damaged = DamagedStart(bytes) { return damaged.problem }
        if let kind = FileKind(bytes) { return kind.problem }
        let start = bytes.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
        return ImageError(
            kind: .unknownFormat, reason: "not a known picture format (starts with \(start.joined(separator: " ")))")
    }

    /// The error for a file of this kind.
    var problem: ImageError {
        // Without a comma, so that no cell of a table has to be quoted.
        let reason = isPicture ? "\(name) is not supported" : "not a picture but \(name)"
        let advice = advice ?? (isPicture ? "convert it to PNG or JPEG" : nil)
        return ImageError(
            kind: .unknownFormat, reason: reason + (advice.map { "; \($0)" } ?? ""), format: name)
    }

    /// Recognizes the kind; nil if it is unknown.
    init?(_ bytes: UnsafeRawBufferPointer) {
        if let signature = FileKind.signatures.first(where: { $0.matches(bytes) }) {
            self = signature.kind
            return
        }
        let kinds = [
            FileKind.container, FileKind.raw, FileKind.icon, FileKind.zeros,
            FileKind.text, FileKind.targa,
        ]
        for kind in kinds {
            guard let match = kind(bytes) else { continue }
            self = match
            return
        }
        return nil
    }

    init(_ name: String, advice: String? = nil) { (self.name, self.advice) = (name, advice) }

    /// A picture in a format, named with its article.
    ///
    /// - Parameter converter: a program that converts it, if there is a particular one.
    static func picture(_ name: String, converter: String? = nil) -> FileKind {
        var kind = FileKind("\(name) picture", advice: converter.map { "convert it with \($0)" })
        kind.isPicture = true
        return kind
    }

    /// A raw picture in the format of a camera.
    static func raw(_ format: String) -> FileKind { .picture("a raw (\(format))", converter: "darktable-cli") }

    /// A film, named with its article.
    static func video(_ name: String) -> FileKind { FileKind("\(name) video", advice: "ffmpeg takes pictures from it") }
}

/// The start of a PNG or JPEG that was damaged in transfer.
private struct DamagedStart {
    let problem: ImageError

    init?(_ bytes: UnsafeRawBufferPointer) {
        let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
        let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF]
        func error(_ reason: String) -> ImageError { ImageError(kind: .damaged, reason: reason) }
        if bytes.count >= 2, png.starts(with: bytes) {
            problem = error("PNG: premature end of data")
        } else if jpeg.dropLast().elementsEqual(bytes) {
            problem = error("JPEG: premature end of data")
        } else if DamagedStart.changed(png).contains(where: bytes.starts(with:)) {
            problem = error("a PNG damaged by a transfer as text (line ends); copy it again as binary data")
        } else if DamagedStart.asText(png).contains(where: bytes.starts(with:)) {
            problem = error("a PNG damaged by a transfer as text (character set); copy it again as binary data")
        } else if DamagedStart.asText(jpeg).contains(where: bytes.starts(with:)) {
            problem = error("a JPEG damaged by a transfer as text (character set); copy it again as binary data")
        } else if bytes.starts(with: png.prefix(4)) {
            problem = error("a PNG whose first bytes are damaged")
        } else {
            return nil
        }
    }

    /// The signature with other line ends, or with seven bits per byte.
    private static func changed(_ start: [UInt8]) -> [[UInt8]] {
        func replacing(_ from: [UInt8], _ to: [UInt8]) -> [UInt8] {
            var result: [UInt8] = []
            var rest = start[...]
            while let byte = rest.first {
                let isMatch = rest.starts(with: from)
                result += isMatch ? to : [byte]
                rest = rest.dropFirst(isMatch ? from.count : 1)
            }
            return result
        }
        return [
            replacing([0x0D, 0x0A], [0x0A]), replacing([0x0D, 0x0A], [0x0D]), replacing([0x0A], [0x0D, 0x0A]),
            replacing([0x0D], [0x0D, 0x0A]), replacing([0x0A], [0x0D]), replacing([0x0D], [0x0A]),
            replacing([0x0D], []), start.map { $0 & 0x7F },
        ].filter { $0 != start }
    }

    /// The signature decoded as Latin-1 or as lossy UTF-8, and encoded as UTF-8.
    private static func asText(_ start: [UInt8]) -> [[UInt8]] {
        let latin = start.flatMap { Array(String(UnicodeScalar($0)).utf8) }
        let replaced = start.flatMap { $0 < 0x80 ? [$0] : [0xEF, 0xBF, 0xBD] }
        return [latin, replaced].map { Array($0.prefix(start.count < 4 ? .max : 5)) }
    }
}
