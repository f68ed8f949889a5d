/// A zip archive of tensors. Checksums in its directory are made right, so that what is behind them is reached.
func fuzzZip(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = Array(UnsafeBufferPointer(start: data, count: count))
    func number(_ place: Int, _ length: Int) -> Int {
        bytes[place..<place + length].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    for entry in 0..<max(0, count - 46) where bytes[entry..<entry + 4].elementsEqual([0x50, 0x4B, 1, 2]) {
        let (size, header) = (number(entry + 24, 4), number(entry + 42, 4))
        guard header + 30 <= count else { continue }
        let start = header + 30 + number(header + 26, 2) + number(header + 28, 2)
        guard start + size <= count else { continue }
        bytes.replaceSubrange(
            entry + 16..<entry + 20, with: TorchArchive.little(TorchArchive.checksum(bytes[start..<start + size])))
    }
    PickleFuzz.read(bytes)
    return 0
}
