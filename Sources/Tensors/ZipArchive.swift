/// The members of a zip archive that are stored without compression, as `torch.save` writes them.
///
/// Invalid and hostile archives are rejected: members outside the file, overlapping or duplicate, names that differ
/// between directory and header, compressed or encrypted members, wrong checksums.
struct ZipArchive {
    /// A member: its name, and the range of its bytes in the file.
    struct Member {
        let name: String
        let range: Range<Int>
        fileprivate let header: Int
        fileprivate let checksum: UInt32
    }

    /// What is wrong with an archive.
    struct Failure: Error { let reason: String }

    /// The members in the order of the file.
    let members: [Member]

    /// The largest number of members of an archive.
    static let maximumCount = 1 << 20

    /// Reads the directory and checks every member.
    init(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        let reader = ZipReader(bytes: bytes)
        let directory = try reader.directory()
        var members: [Member] = []
        members.reserveCapacity(min(directory.count, 4096))
        var names: Set<String> = []
        var offset = directory.range.lowerBound
        for _ in 0..<directory.count {
            let member = try reader.member(at: &offset, directory: directory.range)
            guard names.insert(member.name).inserted else {
                throw Failure(reason: "zip archive: two members named \"\(member.name)\"")
            }
            members.append(member)
        }
        guard offset == directory.range.upperBound else {
            throw Failure(reason: "zip archive: its directory has another size than it says")
        }
        members.sort { $0.header < $1.header }
        var end = 0
        for member in members {
            guard member.header >= end else {
                throw Failure(reason: "zip archive: member \"\(member.name)\" overlaps another")
            }
            end = member.range.upperBound
        }
        for member in members {
            let checksum = CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[member.range]))
            guard checksum == member.checksum else {
                throw Failure(
                    reason: "zip archive: the checksum of member \"\(member.name)\" is wrong: the file is damaged (or "
                        + "was saved without checksums: torch.serialization.set_crc32_options(False))")
            }
        }
        self.members = members
    }
}

/// The records of a zip archive, by their layout in the file.
private struct ZipReader {
    let bytes: UnsafeRawBufferPointer

    private typealias Failure = ZipArchive.Failure

    private func number<Number: FixedWidthInteger>(_ offset: Int, _ type: Number.Type) -> Int? {
        guard offset >= 0, offset <= bytes.count - MemoryLayout<Number>.size else { return nil }
        return Int(exactly: Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self)))
    }

    private func short(_ offset: Int) throws(ZipArchive.Failure) -> Int {
        guard let value = number(offset, UInt16.self) else { throw Self.cut }
        return value
    }

    private func word(_ offset: Int) throws(ZipArchive.Failure) -> Int {
        guard let value = number(offset, UInt32.self) else { throw Self.cut }
        return value
    }

    private func long(_ offset: Int) throws(ZipArchive.Failure) -> Int {
        guard let value = number(offset, UInt64.self) else { throw Self.cut }
        return value
    }

    private static let cut = Failure(reason: "zip archive: damaged or cut short")

    /// The range of the central directory, and the number of its members.
    func directory() throws(ZipArchive.Failure) -> (range: Range<Int>, count: Int) {
        // The record at the end is followed by a comment of at most 65535 bytes.
        let last = bytes.count - 22
        var end = last
        while end >= max(0, last - 0xFFFF) {
            if try word(end) == 0x0605_4B50, try short(end + 20) == last - end { break }
            end -= 1
        }
        guard last >= 0, end >= max(0, last - 0xFFFF) else {
            throw Failure(reason: "zip archive: no directory at its end: damaged or cut short")
        }
        var (count, size, offset) = (try short(end + 10), try word(end + 12), try word(end + 16))
        var limit = end
        if end >= 20, try word(end - 20) == 0x0706_4B50 {
            let record = try long(end - 12)
            guard record <= end - 20 - 56, try word(record) == 0x0606_4B50 else { throw Self.cut }
            (count, size, offset) = (try long(record + 32), try long(record + 40), try long(record + 48))
            limit = record
        }
        guard count <= ZipArchive.maximumCount else {
            throw Failure(reason: "zip archive: \(count) members; expected at most \(ZipArchive.maximumCount)")
        }
        guard offset <= limit, size == limit - offset, count <= size / 46 else { throw Self.cut }
        return (offset..<limit, count)
    }

    /// The member whose entry in the directory is at `offset`, which moves on to the next.
    func member(at offset: inout Int, directory: Range<Int>) throws(ZipArchive.Failure) -> ZipArchive.Member {
        guard try word(offset) == 0x0201_4B50 else { throw Self.cut }
        let (flags, method, checksum) = (try short(offset + 8), try short(offset + 10), try word(offset + 16))
        var (packed, size, header) = (try word(offset + 20), try word(offset + 24), try word(offset + 42))
        let (nameLength, extraLength) = (try short(offset + 28), try short(offset + 30))
        let commentLength = try short(offset + 32)
        let nameStart = offset + 46
        let extra = nameStart + nameLength..<nameStart + nameLength + extraLength
        guard extra.upperBound + commentLength <= directory.upperBound else { throw Self.cut }
        guard let name = String(validating: bytes[nameStart..<extra.lowerBound], as: UTF8.self) else {
            throw Failure(reason: "zip archive: a member's name is not UTF-8")
        }
        func failure(_ reason: String) -> ZipArchive.Failure {
            Failure(reason: "zip archive: member \"\(name)\" \(reason)")
        }
        var field = extra.lowerBound
        while field + 4 <= extra.upperBound {
            let (kind, length) = (try short(field), try short(field + 2))
            guard field + 4 + length <= extra.upperBound else { throw Self.cut }
            var value = field + 4
            // Sizes beyond 32 bits, in this order, of the fields that are 0xFFFFFFFF.
            if kind == 1 {
                func next(_ old: Int) throws(ZipArchive.Failure) -> Int {
                    guard old == 0xFFFF_FFFF else { return old }
                    guard value + 8 <= field + 4 + length else { throw Self.cut }
                    defer { value += 8 }
                    return try long(value)
                }
                size = try next(size)
                packed = try next(packed)
                header = try next(header)
            }
            field += 4 + length
        }
        offset = extra.upperBound + commentLength
        guard flags & 1 == 0 else { throw failure("is encrypted") }
        guard method == 0 || !name.contains("/code/") else {
            throw Failure(reason: "a TorchScript program; \(PickledTensorsFile.advice)")
        }
        guard method == 0 else {
            throw failure("is compressed, which torch.save never does; save the weights again with torch.save")
        }
        guard packed == size else { throw failure("has two sizes") }
        guard header <= directory.lowerBound - 30, try word(header) == 0x0403_4B50 else {
            throw failure("has no header")
        }
        let start = header + 30 + (try short(header + 26)) + (try short(header + 28))
        guard start <= directory.lowerBound, size <= directory.lowerBound - start else {
            throw failure("lies outside the archive")
        }
        guard try short(header + 26) == nameLength, try short(header + 8) == method,
            bytes[header + 30..<header + 30 + nameLength].elementsEqual(bytes[nameStart..<extra.lowerBound])
        else { throw failure("has another header than the directory says") }
        return .init(name: name, range: start..<start + size, header: header, checksum: UInt32(checksum))
    }
}

/// The checksum of zip archives: CRC-32 with the polynomial 0xEDB88320.
enum CRC32 {
    /// Eight tables of 256: entry b of table k is the checksum of byte b followed by k zeros.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
            tables[byte] = value
        }
        for index in 256..<tables.count {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        return tables
    }()

    /// The checksum of some bytes.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var value: UInt32 = 0xFFFF_FFFF
            var index = 0
            while index + 8 <= bytes.count {
                let block = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                let mixed = block ^ UInt64(value)
                value = 0
                for byte in 0..<8 { value ^= tables[(7 - byte) << 8 | Int(mixed >> UInt64(8 * byte) & 0xFF)] }
                index += 8
            }
            while index < bytes.count {
                value = value >> 8 ^ tables[Int((value ^ UInt32(bytes[index])) & 0xFF)]
                index += 1
            }
            return ~value
        }
    }
}
