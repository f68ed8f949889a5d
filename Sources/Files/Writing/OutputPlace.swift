import Glibc

/// What stands where an output is to go.
package enum OutputPlace {
    /// A regular file, or nothing yet: written beside its place and renamed when it is whole.
    ///
    /// `target` is where links lead to, `mode` the permissions of the file that is replaced.
    case file(target: BytePath, mode: UInt32?)
    /// A device or a FIFO, written where it is.
    case special

    /// Looks at a path; a symbolic link stays one, and the file that it leads to is replaced.
    ///
    /// - Throws: `OutputError.cannotWrite` when nothing can be written there.
    package init(_ path: BytePath) throws(OutputError) {
        guard !path.bytes.isEmpty, !path.bytes.contains(0) else {
            throw .cannotWrite(path: path, reason: "not the name of a file")
        }
        switch FileStatus.of(path) {
        case .success(let status):
            if status.isFolder { throw .cannotWrite(path: path, reason: systemReason(EISDIR)) }
            guard status.isRegular else {
                self = .special
                return
            }
            guard path.withCString({ access($0, W_OK) }) == 0 else {
                throw .cannotWrite(path: path, reason: systemReason(errno))
            }
            self = .file(target: try OutputPlace.resolved(path), mode: status.mode & 0o7777)
        case .failure(let error):
            var link = stat()
            guard error.code == ENOENT, path.withCString({ lstat($0, &link) }) != 0 else {
                throw .cannotWrite(path: path, reason: error.code == ENOENT ? "a link that leads nowhere" : "\(error)")
            }
            guard path.bytes.last != slash else { throw .cannotWrite(path: path, reason: systemReason(ENOENT)) }
            self = .file(target: path, mode: nil)
        }
    }

    /// The hidden name beside a file: `.NAME` and what is added, cut and told apart by its hash where it would be too long.
    package static func hidden(beside target: BytePath, adding suffix: String) -> BytePath {
        let name = target.lastComponent
        // A name may have 255 bytes; what is added to it has at most 20.
        let shown = name.count <= 230 ? name : name.prefix(210) + Array("-\(String(checksum(name), radix: 16))".utf8)
        let folder = target.bytes.contains(slash) ? target.parent : BytePath("")
        return folder.appending(Array(".".utf8) + shown + Array(suffix.utf8))
    }

    /// Makes renames and removals in a folder last; best effort, as not every file system can.
    package static func syncFolder(_ folder: BytePath) {
        let descriptor = folder.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func resolved(_ path: BytePath) throws(OutputError) -> BytePath {
        guard let text = path.withCString({ realpath($0, nil) }) else {
            throw .cannotWrite(path: path, reason: systemReason(errno))
        }
        defer { free(text) }
        return BytePath(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    /// FNV-1a of 64 bits.
    private static func checksum(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

/// Writes all the bytes to a descriptor.
///
/// - Throws: `OutputError.closed` when a pipe has no reader left, else `OutputError.cannotWrite` naming `name`.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, name: BytePath) throws(OutputError) {
    var rest = bytes
    while rest.count > 0 {
        let written = write(descriptor, rest.baseAddress, rest.count)
        if written >= 0 {
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            continue
        }
        switch errno {
        case EINTR: continue
        case EAGAIN:
            var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&request, 1, -1)
        case EPIPE: throw .closed
        case let code: throw .cannotWrite(path: name, reason: systemReason(code))
        }
    }
}
