import Files
import Glibc

/// A file that lies inside an archive.
package struct ArchiveMember: Sendable, Equatable {
    /// The open archive; it is closed with the last member that lies in it.
    let archive: OpenArchive
    /// Where the member's bytes begin.
    let offset: Int
    /// How many there are.
    package let size: Int

    package static func == (a: ArchiveMember, b: ArchiveMember) -> Bool {
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
/// A member's path is the archive's, a slash and its name. Folders and members with a `LeftOutName` in their path are
/// passed over. A hard link is the earlier member that it names. Symbolic links, devices and sparse files are inputs
/// that cannot be read, with the reason. What is wrong with the archive itself is one more such input, named as the
/// archive.
struct TarWalk {
    private let path: BytePath
    private let archive: OpenArchive?
    /// Where the next header is; nil at the end.
    private var position: Int? = 0
    private var pending: String?
    /// The members so far by their names, which hard links lead to; nil until there is one.
    private var known: [[UInt8]: ListedInput]?
    /// Whether the walk is at a member rather than at what is wrong with the archive.
    private(set) var isAtMember = false

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

    /// A walk over the same archive from its beginning, which knows all members that it has passed.
    private init(again walk: TarWalk) {
        (path, archive) = (walk.path, walk.archive)
        known = [:]
    }

    /// Goes to the next member, whose path it puts into `output`; nil at the end.
    mutating func next(into output: inout [UInt8]) -> ListedInput? {
        do {
            while let (name, input) = try member() {
                if LeftOutName.isOn(name) { continue }
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
            if header.kind == .file, let given = records?.size { size = given }
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
                    guard let read = PaxRecords(try bytes(data, size, archive)) else {
                        throw damage("the pax header at byte \(start) makes no sense")
                    }
                    records = read
                default: (longName, longLink, records) = (nil, nil, nil)
                }
            case .file, .hardLink, .symbolicLink, .special, .sparse:
                let name = records?.path ?? longName ?? header.name
                guard !name.isEmpty else { throw damage("the member at byte \(start) has no name") }
                let found: ListedInput
                if header.kind == .hardLink {
                    found = try linked(to: records?.linkPath ?? longLink ?? header.linkName, before: first)
                } else {
                    found = input(header.kind, records, ArchiveMember(archive: archive, offset: data, size: size))
                }
                if known != nil { known?[TarWalk.plain(name)] = found }
                return (name, found)
            }
        }
        return nil
    }

    /// The member that a hard link names, which comes before the link.
    private mutating func linked(to name: [UInt8], before end: Int?) throws -> ListedInput {
        if known == nil {
            var pass = TarWalk(again: self)
            while pass.position != end, try pass.member() != nil {}
            known = pass.known ?? [:]
        }
        let target = String(decoding: name, as: UTF8.self)
        switch known?[TarWalk.plain(name)] {
        case nil: return .unreadable(reason: "a hard link to \(target), which the archive does not hold before it")
        case .unreadable(let reason): return .unreadable(reason: "a hard link to \(target): \(reason)")
        case let found?: return found
        }
    }

    /// A member's name without what does not matter: "." and empty parts.
    private static func plain(_ name: [UInt8]) -> [UInt8] {
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
