import Glibc

/// A file in memory without a name, for readers that open files.
enum MemoryFile {
    private static let descriptor: Int32 = {
        var name = Array("/dev/shm/mergevit-fuzz-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        unlink(name)
        return descriptor
    }()

    /// The path of the file with these bytes in it; nil when they cannot be written.
    static func path(with bytes: UnsafeRawBufferPointer) -> String? {
        guard ftruncate(descriptor, off_t(bytes.count)) == 0,
            pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count
        else { return nil }
        return "/proc/self/fd/\(descriptor)"
    }
}
