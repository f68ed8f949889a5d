import Tensors

/// The safetensors reader with all its tensors.
func fuzzSafetensors(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let path = MemoryFile.path(with: UnsafeRawBufferPointer(start: data, count: count)),
        let file = try? SafetensorsFile(path: path)
    else { return 0 }
    var total = 0
    for entry in file.entries {
        total += file.bytes(of: entry).count
        if let tensor = try? file.tensor(entry.name) {
            precondition(tensor.values.count == entry.shape.reduce(1, *), "values differ from the shape")
        }
    }
    precondition(total <= count, "tensors of more bytes than the file")
    return 0
}
