/// What a file is that is neither PNG nor JPEG, as far as its bytes tell.
///
/// Nothing depends on it but the words of an error.
struct FileKind: Equatable {
    /// What to call it, such as "a WebP picture".
    let name: String
    /// Whether it holds a picture, which can be converted.
    var isPicture = false
    /// What to do about it, where there is more to say.
    var advice: String?

    /// The error for bytes that have the beginning of neither format.
    static func problem(with bytes: UnsafeRawBufferPointer) -> ImageError {
        if bytes.isEmpty { return ImageError(kind: .empty, reason: "empty file") }
        if let damaged = DamagedStart(bytes) { return damaged.problem }
        guard let kind = FileKind(bytes) else {
            let start = bytes.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }
            return ImageError(
                kind: .unknownFormat, reason: "neither PNG nor JPEG (starts with \(start.joined(separator: " ")))")
        }
        // Without a comma, so that no cell of a table has to be quoted.
        let reason =
            kind.isPicture
            ? "\(kind.name) is not supported; convert it to PNG or JPEG" : "not a picture but \(kind.name)"
        return ImageError(
            kind: .unknownFormat, reason: reason + (kind.advice.map { "; \($0)" } ?? ""), format: kind.name)
    }

    /// Tells the kind; nil if it is not known.
    init?(_ bytes: UnsafeRawBufferPointer) {
        for signature in FileKind.signatures where signature.isStart(of: bytes) {
            self = signature.kind
            return
        }
        let kinds = [
            FileKind.container, FileKind.tiff, FileKind.bitmap, FileKind.icon, FileKind.zeros, FileKind.text,
            FileKind.targa,
        ]
        for kind in kinds {
            guard let found = kind(bytes) else { continue }
            self = found
            return
        }
        return nil
    }

    init(_ name: String, advice: String? = nil) { (self.name, self.advice) = (name, advice) }

    /// A picture of a format, given with its article.
    static func picture(_ name: String) -> FileKind {
        var kind = FileKind("\(name) picture")
        kind.isPicture = true
        return kind
    }
}

/// The beginning of a PNG or JPEG that something has changed on its way.
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

    /// The beginning with other line ends, or with seven bits a byte.
    private static func changed(_ start: [UInt8]) -> [[UInt8]] {
        func replacing(_ from: [UInt8], _ to: [UInt8]) -> [UInt8] {
            var result: [UInt8] = []
            var rest = start[...]
            while let byte = rest.first {
                let isThere = rest.starts(with: from)
                result += isThere ? to : [byte]
                rest = rest.dropFirst(isThere ? from.count : 1)
            }
            return result
        }
        return [
            replacing([0x0D, 0x0A], [0x0A]), replacing([0x0D, 0x0A], [0x0D]), replacing([0x0A], [0x0D, 0x0A]),
            replacing([0x0D], [0x0D, 0x0A]), replacing([0x0A], [0x0D]), replacing([0x0D], [0x0A]),
            replacing([0x0D], []), start.map { $0 & 0x7F },
        ].filter { $0 != start }
    }

    /// The beginning read as Latin-1 or as damaged UTF-8, and written as UTF-8.
    private static func asText(_ start: [UInt8]) -> [[UInt8]] {
        let latin = start.flatMap { Array(String(UnicodeScalar($0)).utf8) }
        let replaced = start.flatMap { $0 < 0x80 ? [$0] : [0xEF, 0xBF, 0xBD] }
        return [latin, replaced].map { Array($0.prefix(start.count < 4 ? .max : 5)) }
    }
}
