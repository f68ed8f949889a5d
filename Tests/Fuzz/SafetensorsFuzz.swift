import Glibc

/// A file without a name, for it is files that are opened.
private let descriptor: Int32 = {
    var name = Array("/dev/shm/mergevit-fuzz-XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    unlink(name)
    return descriptor
}()

/// libFuzzer target: the safetensors reader with all its tensors. Compiled together with Sources/Tensors.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard ftruncate(descriptor, off_t(count)) == 0, pwrite(descriptor, data, count, 0) == count else { return 0 }
    guard let file = try? SafetensorsFile(path: "/proc/self/fd/\(descriptor)") else { return 0 }
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
