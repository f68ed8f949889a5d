/// Makes files as `torch.save` writes them, and others that only look like it. Tests/Fuzz links to this file.
enum TorchArchive {
    /// A member of a zip archive, with whatever can be wrong with it.
    struct Member {
        var name: String
        var bytes: [UInt8]
        var method = 0
        var checksum: UInt32?
        /// The size that the directory says; nil for the true one.
        var size: Int?
        /// Where the directory says that its header is; nil for the true place.
        var place: Int?
        /// The name in the header before the data; nil for the same.
        var otherName: String?

        init(_ name: String, _ bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
    }

    /// A zip archive of stored members.
    static func zip(_ members: [Member], comment: [UInt8] = []) -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for member in members {
            let checksum = member.checksum ?? Self.checksum(member.bytes)
            let sizes = little(UInt32(member.bytes.count)) + little(UInt32(member.bytes.count))
            let start = file.count
            let name = Array((member.otherName ?? member.name).utf8)
            file += [0x50, 0x4B, 3, 4, 0, 0, 0, 0] + little(UInt16(member.method)) + [0, 0, 0, 0] + little(checksum)
            file += sizes + little(UInt16(name.count)) + [0, 0] + name + member.bytes
            directory += [0x50, 0x4B, 1, 2, 0, 0, 0, 0, 0, 0] + little(UInt16(member.method)) + [0, 0, 0, 0]
            directory += little(checksum)
            directory += member.size.map { little(UInt32($0)) + little(UInt32($0)) } ?? sizes
            directory += little(UInt16(member.name.utf8.count)) + [UInt8](repeating: 0, count: 12)
            directory += little(UInt32(member.place ?? start)) + Array(member.name.utf8)
        }
        let end =
            [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + little(UInt16(members.count)) + little(UInt16(members.count))
            + little(UInt32(directory.count)) + little(UInt32(file.count)) + little(UInt16(comment.count))
        return file + directory + end + comment
    }

    /// A file of a pickle and storages by their keys.
    static func file(_ pickle: [UInt8], _ storages: [(key: String, bytes: [UInt8])]) -> [UInt8] {
        zip([Member("x/data.pkl", pickle)] + storages.map { Member("x/data/\($0.key)", $0.bytes) })
    }

    /// The checksum of zip archives, bit by bit.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var value = UInt32.max
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
        }
        return ~value
    }

    static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}
