import Glibc

/// A file that lies inside an archive.
struct ArchiveMember: Sendable, Equatable {
    /// The open archive; it is closed with the last member that lies in it.
    let archive: OpenArchive
    /// Where the member's bytes begin.
    let offset: Int
    /// How many there are.
    let size: Int

    static func == (a: ArchiveMember, b: ArchiveMember) -> Bool {
        a.archive === b.archive && a.offset == b.offset && a.size == b.size
    }
}

/// An archive that is open for reading.
final class OpenArchive: Sendable {
    let descriptor: Int32
    let size: Int

    /// Opens an archive.
    ///
    /// - Throws: `FileReader.Failure` or `SystemError` when it is not a regular file that can be read.
    init(_ path: BytePath) throws {
        descriptor = try FileReader.open(path)
        do {
            let status = try FileStatus.of(descriptor: descriptor).get()
            guard status.isRegular else { throw FileReader.Failure(description: "not a regular file") }
            size = status.size
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Fills a buffer from a place in the archive; how many bytes there were.
    ///
    /// - Throws: `SystemError`.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var count = 0
        while count < buffer.count {
            let got = pread(
                descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(offset + count))
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw SystemError(code: errno) }
            if got == 0 { break }
            count += got
        }
        return count
    }
}

/// A walk over the files in one tar archive, in their order: from header to header, without reading what lies between.
///
/// A member's path is the archive's, a slash and its name. Folders are passed over; links, devices and sparse files are inputs
/// that cannot be read, with the reason. What is wrong with the archive itself is one more such input, named as the archive.
struct TarWalk {
    private let path: BytePath
    private let archive: OpenArchive?
    /// Where the next header is; nil at the end.
    private var position: Int? = 0
    private var pending: String?

    /// Longer than any path can be, short enough that a hostile archive does not fill the memory.
    private static let longestRecord = 1 << 20

    /// Opens an archive, which need not be readable: then the walk has one step, with the reason.
    init(_ path: BytePath) {
        self.path = path
        do { archive = try OpenArchive(path) } catch {
            archive = nil
            pending = "\(error)"
        }
    }

    /// Goes to the next member, whose path it puts into `output`; nil at the end.
    mutating func next(into output: inout [UInt8]) -> ListedInput? {
        do {
            if let (name, input) = try member() {
                output.replaceSubrange(output.indices, with: path.bytes)
                if !name.isEmpty { output += [slash] + name }
                return input
            }
        } catch { pending = "\(error)" }
        guard let reason = pending else { return nil }
        (pending, position) = (nil, nil)
        output.replaceSubrange(output.indices, with: path.bytes)
        return .unreadable(reason: reason)
    }

    private mutating func member() throws -> (name: [UInt8], input: ListedInput)? {
        guard let archive else { return nil }
        var longName: [UInt8]?
        var records: PaxRecords?
        while let start = position {
            position = nil
            guard let header = try header(at: start, archive) else { return nil }
            let data = start + TarHeader.blockSize
            var size = header.size
            if header.kind == .file, let given = records?.size { size = given }
            let padded = (size + TarHeader.blockSize - 1) / TarHeader.blockSize * TarHeader.blockSize
            let isWhole = data + size <= archive.size
            if isWhole { position = data + padded }
            switch header.kind {
            case .ignored, .folder, .longName, .extended:
                guard isWhole else { throw damage("it ends within the member at byte \(start)") }
                if header.kind == .longName {
                    longName = Array(try bytes(data, size, archive).prefix { $0 != 0 })
                } else if header.kind == .extended {
                    guard let read = PaxRecords(try bytes(data, size, archive)) else {
                        throw damage("the pax header at byte \(start) makes no sense")
                    }
                    records = read
                } else {
                    (longName, records) = (nil, nil)
                }
            case .file, .link, .special, .sparse:
                let name = records?.path ?? longName ?? header.name
                guard !name.isEmpty else { throw damage("the member at byte \(start) has no name") }
                return (name, input(header.kind, records, ArchiveMember(archive: archive, offset: data, size: size)))
            }
        }
        return nil
    }

    private func input(_ kind: TarHeader.Kind, _ records: PaxRecords?, _ member: ArchiveMember) -> ListedInput {
        if kind == .link { return .unreadable(reason: "a link inside an archive, which is not followed") }
        if kind == .special { return .unreadable(reason: "not a regular file") }
        if kind == .sparse || records?.isSparse == true {
            return .unreadable(reason: "a sparse file inside an archive, which cannot be read")
        }
        let missing = member.offset + member.size - member.archive.size
        return missing > 0 ? .unreadable(reason: "cut short: the archive ends \(missing) bytes early") : .member(member)
    }

    /// The header at a place; nil at the archive's end.
    private func header(at start: Int, _ archive: OpenArchive) throws -> TarHeader? {
        try withUnsafeTemporaryAllocation(byteCount: TarHeader.blockSize, alignment: 8) { block in
            let count = try archive.read(at: start, into: block)
            guard count == TarHeader.blockSize else {
                throw damage(
                    start == 0
                        ? "it is too short" : "it has no end mark after byte \(start + count); it may be cut short")
            }
            if TarHeader.isEnd(UnsafeRawBufferPointer(block)) { return nil }
            guard let header = TarHeader(UnsafeRawBufferPointer(block)) else {
                throw damage("there is no header at byte \(start), or its checksum is wrong")
            }
            return header
        }
    }

    private func bytes(_ offset: Int, _ size: Int, _ archive: OpenArchive) throws -> [UInt8] {
        guard size <= TarWalk.longestRecord else { throw damage("a name or pax header has \(size) bytes") }
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            initialized = try archive.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private func damage(_ reason: String) -> FileReader.Failure {
        FileReader.Failure(description: "not a whole tar archive: \(reason)")
    }
}
