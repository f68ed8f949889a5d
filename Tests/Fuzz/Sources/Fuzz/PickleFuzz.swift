/// A pickle in an archive with some storages, and all the tensors that it describes.
func fuzzPickle(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let numbers = (0..<64).map { UInt8($0) }
    PickleFuzz.read(
        TorchArchive.file(
            Array(UnsafeBufferPointer(start: data, count: count)),
            [("0", numbers), ("1", Array(numbers[..<16])), ("2", [])]))
    return 0
}
