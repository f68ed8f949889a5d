import Glibc

/// A file mapped read-only into memory; the mapping lives as long as the object.
package final class MappedFile: @unchecked Sendable {
    /// The path that was opened.
    package let path: String
    /// The whole content. Valid while this object lives.
    package let bytes: UnsafeRawBufferPointer
    /// What the file was when it was opened.
    package let identity: FileStatus

    /// Maps a regular file.
    ///
    /// - Throws: `FileError` when the file cannot be opened or mapped, or is not a regular file.
    package init(path: String) throws(FileError) {
        // Without waiting: a FIFO that nobody writes to would hold us up for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw FileError(path: path, reason: MappedFile.reason(errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw FileError(path: path, reason: MappedFile.reason(errno))
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(path: path, reason: "not a regular file")
        }
        let size = Int(status.st_size)
        self.path = path
        identity = FileStatus(status)
        if size == 0 {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw FileError(path: path, reason: MappedFile.reason(errno))
        }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
    }

    deinit {
        if let address = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
        }
    }

    /// Gives the memory behind a part of the mapping back to the system; it is read again from the file when touched.
    /// Keeps the peak memory of loading near the size of what is built from the file.
    package func release(_ range: Range<Int>) {
        guard let address = bytes.baseAddress else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let lower = (range.lowerBound + page - 1) / page * page
        let upper = range.upperBound / page * page
        guard lower < upper else { return }
        madvise(UnsafeMutableRawPointer(mutating: address + lower), upper - lower, MADV_DONTNEED)
    }

    private static func reason(_ code: Int32) -> String { systemReason(code) }
}

extension JSON {
    /// Reads a whole file as one strict JSON text.
    ///
    /// - Throws: `FileError` when the file cannot be read or is not strict JSON.
    package init(contentsOf path: String) throws(FileError) {
        let file = try MappedFile(path: path)
        do { self = try JSON(parsing: file.bytes) } catch {
            throw FileError(path: path, reason: "not valid JSON: \(error)")
        }
    }
}
