import Files
import Glibc

/// A file inside a tar archive.
package struct ArchiveMember: Sendable, Equatable {
    /// The open archive, which is closed when its last member is released.
    let archive: OpenArchive
    /// The offset of the member's first byte.
    let offset: Int
    /// The size in bytes.
    package let size: Int

    package static func == (a: ArchiveMember, b: ArchiveMember) -> Bool {
        a.archive === b.archive && a.offset == b.offset && a.size == b.size
    }
}

/// An archive open for reading.
final class OpenArchive: Sendable {
    let descriptor: Int32
    /// What the system said of it when it was opened.
    let status: FileStatus
    var size: Int { status.size }

    /// Opens an archive.
    ///
    /// - Throws: `FileReader.Failure` or `SystemError` when it is not a regular file that can be read.
    init(_ path: BytePath) throws {
        descriptor = try FileReader.open(path)
        do {
            status = try FileStatus.of(descriptor: descriptor).get()
            guard status.isRegular else { throw FileReader.Failure(description: "not a regular file") }
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Fills a buffer from an offset in the archive; returns the number of bytes read, fewer at the end.
    ///
    /// - Throws: `SystemError`.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var count = 0
        while count < buffer.count {
            let size = pread(
                descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(offset + count))
            if size < 0, errno == EINTR { continue }
            guard size >= 0 else { throw SystemError(code: errno) }
            if size == 0 { break }
            count += size
        }
        return count
    }
}

/// A walk over the files in one tar archive, in their order, from header to header without reading the data between.
///
/// A member's path is the archive's, a slash and its name. Folders and members with an `IgnoredName` in their path are
/// left out. A hard link is replaced by the earlier member that it names. Symbolic links, devices and sparse files are
/// unreadable inputs, with the reason. Damage of the archive itself is one more unreadable input, with the archive's
/// path.
struct TarWalk {
    private let path: BytePath
    private let archive: OpenArchive?
    /// The offset of the next header; nil at the end.
    private var position: Int? = 0
    private var pending: String?
    /// The members so far by name, as targets of hard links; nil until the first hard link.
    private var members: [[UInt8]: ListedInput]?
    /// Whether the last step was a member rather than damage of the archive.
    private(set) var isAtMember = false

    /// The largest size in bytes of a name or pax header, so that a hostile archive cannot fill the memory.
    private static let maximumRecordSize = 1 << 20

    /// Opens an archive. If it cannot be read, the walk has one step, with the reason.
    init(_ path: BytePath) {
        self.path = path
        do { archive = try OpenArchive(path) } catch {
            archive = nil
            pending = "\(error)"
        }
    }

    /// A walk over the same archive from its beginning that records all members.
    private init(again walk: TarWalk) {
        (path, archive) = (walk.path, walk.archive)
        members = [:]
    }

    /// Goes to the next member and writes its path to `output`; returns nil at the end.
    mutating func next(into output: inout [UInt8]) -> ListedInput? {
        do {
            while let (name, input) = try member() {
                if IgnoredName.occurs(in: name) { continue }
                isAtMember = true
                output.replaceSubrange(output.indices, with: path.bytes)
                if !name.isEmpty { output += [slash] + name }
                return input
            }
        } catch { pending = "\(error)" }
        isAtMember = false
        guard let reason = pending else { return nil }
        (pending, position) = (nil, nil)
        output.replaceSubrange(output.indices, with: path.bytes)
        return .unreadable(reason: reason)
    }

    private mutating func member() throws -> (name: [UInt8], input: ListedInput)? {
        guard let archive else { return nil }
        let first = position
        var (longName, longLink): ([UInt8]?, [UInt8]?)
        var records: PaxRecords?
        while let start = position {
            position = nil
            guard let header = try header(at: start, archive) else { return nil }
            let data = start + TarHeader.blockSize
            var size = header.size
            if header.kind == .file, let recordedSize = records?.size { size = recordedSize }
            let padded = (size + TarHeader.blockSize - 1) / TarHeader.blockSize * TarHeader.blockSize
            let isWhole = data + size <= archive.size
            if isWhole { position = data + padded }
            switch header.kind {
            case .ignored, .folder, .longName, .longLink, .extended:
                guard isWhole else { throw damage("it ends within the member at byte \(start)") }
                switch header.kind {
                case .longName: longName = Array(try bytes(data, size, archive).prefix { $0 != 0 })
                case .longLink: longLink = Array(try bytes(data, size, archive).prefix { $0 != 0 })
                case .extended:
                    guard let paxRecords = PaxRecords(try bytes(data, size, archive)) else {
                        throw damage("the pax header at byte \(start) is invalid")
                    }
                    records = paxRecords
                default: (longName, longLink, records) = (nil, nil, nil)
                }
            case .file, .hardLink, .symbolicLink, .special, .sparse:
                let name = records?.path ?? longName ?? header.name
                guard !name.isEmpty else { throw damage("the member at byte \(start) has no name") }
                let listedInput: ListedInput
                if header.kind == .hardLink {
                    listedInput = try linked(to: records?.linkPath ?? longLink ?? header.linkName, before: first)
                } else {
                    listedInput = input(
                        header.kind, records, ArchiveMember(archive: archive, offset: data, size: size))
                }
                if members != nil { members?[TarWalk.normalized(name)] = listedInput }
                return (name, listedInput)
            }
        }
        return nil
    }

    /// The member that a hard link names, which comes before the link.
    private mutating func linked(to name: [UInt8], before end: Int?) throws -> ListedInput {
        if members == nil {
            var pass = TarWalk(again: self)
            while pass.position != end, try pass.member() != nil {}
            members = pass.members ?? [:]
        }
        let target = String(decoding: name, as: UTF8.self)
        switch members?[TarWalk.normalized(name)] {
        case nil: return .unreadable(reason: "a hard link to \(target), which is not an earlier member of the archive")
        case .unreadable(let reason): return .unreadable(reason: "a hard link to \(target): \(reason)")
        case let input?: return input
        }
    }

    /// A member's name without "." and empty components.
    private static func normalized(_ name: [UInt8]) -> [UInt8] {
        Array(name.split(separator: slash).filter { !$0.elementsEqual(".".utf8) }.joined(separator: [slash]))
    }

    private func input(_ kind: TarHeader.Kind, _ records: PaxRecords?, _ member: ArchiveMember) -> ListedInput {
        if kind == .symbolicLink { return .unreadable(reason: "a link inside an archive, which is not followed") }
        if kind == .special { return .unreadable(reason: "not a regular file") }
        if kind == .sparse || records?.isSparse == true {
            return .unreadable(reason: "a sparse file inside an archive, which cannot be read")
        }
        let missing = member.offset + member.size - member.archive.size
        return missing > 0 ? .unreadable(reason: "cut short: the archive ends \(missing) bytes early") : .member(member)
    }

    /// The header at an offset; nil at the archive's end.
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
        guard size <= TarWalk.maximumRecordSize else { throw damage("a name or pax header has \(size) bytes") }
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            initialized = try archive.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private func damage(_ reason: String) -> FileReader.Failure {
        FileReader.Failure(description: "not a whole tar archive: \(reason)")
    }
}
