import Files

@testable import Datasets

/// The walk over a tar archive. Blocks that say "ustar" get the right checksum, so that what is behind it is
/// reached.
func fuzzTar(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = Array(UnsafeBufferPointer(start: data, count: count))
    for start in stride(from: 0, to: bytes.count - TarHeader.blockSize + 1, by: TarHeader.blockSize)
    where bytes[(start + 257)...].starts(with: Array("ustar".utf8)) {
        for index in 148..<156 { bytes[start + index] = UInt8(ascii: " ") }
        let sum = bytes[start..<(start + TarHeader.blockSize)].reduce(0) { $0 + Int($1) }
        let digits = Array(String(sum, radix: 8).utf8)
        bytes.replaceSubrange((start + 148)..<(start + 148 + digits.count), with: digits)
        bytes[start + 155] = 0
    }
    guard let file = bytes.withUnsafeBytes(MemoryFile.path) else { return 0 }
    var walk = TarWalk(BytePath(file))
    var path: [UInt8] = []
    var steps = 0
    while let input = walk.next(into: &path) {
        steps += 1
        precondition(steps <= count / TarHeader.blockSize + 1, "more members than headers")
        guard case .member(let member) = input else { continue }
        precondition(member.offset >= 0 && member.size >= 0 && member.offset + member.size <= count, "outside")
    }
    return 0
}
