import Files

/// A member's header in a tar archive: 512 bytes, POSIX ustar or GNU.
///
/// POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
struct TarHeader {
    /// The length of a header, and what data is padded to.
    static let blockSize = 512

    /// What a member is.
    enum Kind: Equatable {
        case file
        case folder
        case symbolicLink
        /// Another name of an earlier member.
        case hardLink
        /// A device or FIFO.
        case special
        case sparse
        /// A pax header for the next member.
        case extended
        /// A GNU long name for the next member.
        case longName
        /// A GNU long link target for the next member.
        case longLink
        /// Metadata of the archive, on which no member depends.
        case ignored
    }

    let kind: Kind
    /// The name in the header itself.
    let name: [UInt8]
    /// The target of a link, in the header itself.
    let linkName: [UInt8]
    /// The number of bytes of data that follow.
    let size: Int

    /// Whether a block is the end mark: all zeros.
    static func isEnd(_ block: UnsafeRawBufferPointer) -> Bool { block.allSatisfy { $0 == 0 } }

    /// Parses a block; nil when its checksum is wrong or its size is not a number.
    init?(_ block: UnsafeRawBufferPointer) {
        guard block.count == TarHeader.blockSize, TarHeader.hasChecksum(block),
            let size = TarHeader.number(block[124..<136])
        else { return nil }
        var name = Array(block[..<100].prefix { $0 != 0 })
        // Only POSIX headers have a prefix there; GNU has times.
        if block[257..<263].elementsEqual(Array("ustar".utf8) + [0]), block[345] != 0 {
            name = Array(block[345..<500].prefix { $0 != 0 }) + [slash] + name
        }
        self.name = name
        linkName = Array(block[157..<257].prefix { $0 != 0 })
        switch block[156] {
        case 0 where name.last == slash: kind = .folder
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): kind = .file
        case UInt8(ascii: "1"): kind = .hardLink
        case UInt8(ascii: "2"): kind = .symbolicLink
        case UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"): kind = .special
        case UInt8(ascii: "5"), UInt8(ascii: "D"): kind = .folder
        case UInt8(ascii: "S"): kind = .sparse
        case UInt8(ascii: "x"): kind = .extended
        case UInt8(ascii: "L"): kind = .longName
        case UInt8(ascii: "K"): kind = .longLink
        case UInt8(ascii: "g"), UInt8(ascii: "V"): kind = .ignored
        // POSIX: an unknown type is a file.
        default: kind = .file
        }
        // Links may have the size of their target; no data follows them.
        self.size = [.symbolicLink, .hardLink, .special].contains(kind) ? 0 : size
    }

    /// Whether the checksum is the sum of all bytes, with spaces in place of the checksum. Some old programs used
    /// signed bytes.
    private static func hasChecksum(_ block: UnsafeRawBufferPointer) -> Bool {
        guard let expected = number(block[148..<156]) else { return false }
        var (unsigned, signed) = (0, 0)
        for (index, byte) in block.enumerated() {
            let byte = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int(byte)
            signed += Int(Int8(bitPattern: byte))
        }
        return unsigned == expected || signed == expected
    }

    /// A number in octal digits, or in base 256 after a byte 0x80, as GNU writes large ones. Nil if it is neither,
    /// negative, or larger than any file.
    static func number(_ field: Slice<UnsafeRawBufferPointer>) -> Int? {
        let limit = 1 << 60
        guard let first = field.first else { return nil }
        if first & 0x80 != 0 {
            guard first == 0x80 else { return nil }
            var value = 0
            for byte in field.dropFirst() {
                guard value < limit >> 8 else { return nil }
                value = value << 8 | Int(byte)
            }
            return value
        }
        var value = 0
        for byte in field.drop(while: { $0 == UInt8(ascii: " ") }) {
            if byte == 0 || byte == UInt8(ascii: " ") { break }
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(byte), value < limit >> 3 else { return nil }
            value = value << 3 | Int(byte - UInt8(ascii: "0"))
        }
        return value
    }
}

/// The records of a pax header, for the next member: `LENGTH KEY=VALUE\n`.
struct PaxRecords {
    /// The member's name, if specified.
    private(set) var path: [UInt8]?
    /// The target of a link, if specified.
    private(set) var linkPath: [UInt8]?
    /// The size in bytes, if specified.
    private(set) var size: Int?
    /// Whether the data is that of a sparse file.
    private(set) var isSparse = false

    /// Parses the records; nil when they are damaged.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let first = rest.first, first != 0 {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")), space - rest.startIndex <= 10,
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 1,
                length <= rest.count
            else { return nil }
            let end = rest.startIndex + length
            let record = rest[(space + 1)..<(end - 1)]
            guard rest[end - 1] == 0x0A, let equals = record.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let value = record[(equals + 1)...]
            switch String(decoding: record[..<equals], as: UTF8.self) {
            case "path": path = Array(value)
            case "linkpath": linkPath = Array(value)
            case "size":
                guard let number = Int(String(decoding: value, as: UTF8.self)), (0..<(1 << 60)).contains(number) else {
                    return nil
                }
                size = number
            case let key where key.hasPrefix("GNU.sparse."): isSparse = true
            default: break
            }
            rest = rest[end...]
        }
    }
}
