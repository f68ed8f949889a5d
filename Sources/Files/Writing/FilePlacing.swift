import Glibc

/// Puts files in places where nothing is yet. Nothing is ever overwritten.
package enum FilePlacing {
    /// Makes a symbolic link.
    ///
    /// - Returns: nil, or the error number; `EEXIST` when something is there.
    package static func link(_ target: BytePath, at place: BytePath) -> Int32? {
        target.withCString { target in place.withCString { symlink(target, $0) == 0 ? nil : errno } }
    }

    /// Copies a regular file with its permissions and times. The copy appears only when it is whole and on the disk.
    ///
    /// - Returns: nil, or the error number; `EEXIST` when something is there.
    package static func copy(_ source: BytePath, to place: BytePath) -> Int32? {
        let input = source.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NOCTTY) }
        guard input >= 0 else { return errno }
        defer { close(input) }
        var status = stat()
        guard fstat(input, &status) == 0 else { return errno }
        guard status.st_mode & S_IFMT == S_IFREG else { return EINVAL }
        guard !isThere(place) else { return EEXIST }
        let partial = OutputPlace.hidden(beside: place, adding: ".partial-\(getpid())")
        _ = partial.withCString { unlink($0) }
        let output = partial.withCString { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        guard output >= 0 else { return errno }
        var code = copy(input, output)
        if code == nil {
            var times = [status.st_atim, status.st_mtim]
            fchmod(output, status.st_mode & 0o7777)
            futimens(output, &times)
            if fsync(output) != 0 { code = errno }
        }
        close(output)
        if code == nil { code = rename(partial, to: place) }
        if code != nil { _ = partial.withCString { unlink($0) } }
        return code
    }

    /// Moves a regular file; to another file system by a copy, after which the source is removed.
    ///
    /// - Returns: nil, or the error number; `EEXIST` when something is there, `EBUSY` when the source was changed while
    ///   it was copied.
    package static func move(_ source: BytePath, to place: BytePath) -> Int32? {
        guard let code = rename(source, to: place) else { return nil }
        guard code == EXDEV else { return code }
        guard case .success(let before) = FileStatus.of(source) else { return ENOENT }
        if let code = copy(source, to: place) { return code }
        FileWriting.synchronize(folder: place.parent)
        guard case .success(before) = FileStatus.of(source) else {
            _ = place.withCString { unlink($0) }
            return EBUSY
        }
        return source.withCString { unlink($0) == 0 ? nil : errno }
    }

    /// Whether something has this path, be it a link that leads nowhere.
    package static func isThere(_ path: BytePath) -> Bool {
        var status = stat()
        return path.withCString { lstat($0, &status) } == 0
    }

    /// Whether two files can be read and have the same bytes.
    package static func haveSameBytes(_ one: BytePath, _ other: BytePath) -> Bool {
        let (first, second) = (one.withCString { open($0, flags) }, other.withCString { open($0, flags) })
        defer { for descriptor in [first, second] where descriptor >= 0 { close(descriptor) } }
        guard first >= 0, second >= 0 else { return false }
        while true {
            guard let one = block(first), let other = block(second), one == other else { return false }
            if one.isEmpty { return true }
        }
    }

    private static let flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK

    /// The next bytes of a file; nil if it cannot be read.
    private static func block(_ descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress.map { $0 + count }, $0.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { return nil }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    /// Renames within a file system. After a crash the file may have both names, or on a file system without hard links
    /// an empty file may be at the place.
    private static func rename(_ source: BytePath, to place: BytePath) -> Int32? {
        source.withCString { source in
            place.withCString { place in
                // Unlike a rename, a link never replaces anything.
                if Glibc.link(source, place) == 0 {
                    if unlink(source) == 0 { return nil }
                    let code = errno
                    unlink(place)
                    return code
                }
                guard [EPERM, ENOTSUP, ENOSYS, EMLINK].contains(errno) else { return errno }
                let descriptor = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { return errno }
                close(descriptor)
                if Glibc.rename(source, place) == 0 { return nil }
                let code = errno
                unlink(place)
                return code
            }
        }
    }

    private static func copy(_ input: Int32, _ output: Int32) -> Int32? {
        while true {
            let count = sendfile(output, input, nil, 1 << 30)
            if count == 0 { return nil }
            guard count > 0 || errno == EINTR else { return errno }
        }
    }
}
