import Glibc
import Synchronization

/// Why an output cannot be written.
package enum OutputError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It cannot be created, written or put in its place.
    case cannotWrite(path: BytePath, reason: String)
    /// A file exists there that is not known to be as mergevit wrote it, so it is not replaced unless the caller forces
    /// it.
    case notOurs(path: BytePath, reason: String)
    /// A folder exists there, and the caller does not replace it.
    case exists(path: BytePath)
    /// Nobody reads the output any more (EPIPE), which is no failure for a command in a pipe.
    case closed

    /// What is wrong, in one line.
    package var description: String {
        switch self {
        case .cannotWrite(let path, let reason), .notOurs(let path, let reason): "cannot write \(path): \(reason)"
        case .exists(let path): "\(path): already exists"
        case .closed: "nobody reads the output any more"
        }
    }
}

/// What exists where an output is to go.
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

    /// The hidden name beside a file: `.NAME` and what is added, cut and told apart by its hash where it would be too
    /// long.
    package static func hidden(beside target: BytePath, adding suffix: String) -> BytePath {
        let name = target.lastComponent
        // A name may have 255 bytes; what is added to it has at most 20.
        let shown = name.count <= 230 ? name : name.prefix(210) + Array("-\(String(checksum(name), radix: 16))".utf8)
        let folder = target.bytes.contains(slash) ? target.parent : BytePath("")
        return folder.appending(Array(".".utf8) + shown + Array(suffix.utf8))
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

extension FileWriting {
    /// Writes all bytes to the descriptor of an output.
    ///
    /// - Throws: `OutputError.closed` when a pipe has no reader left, else `OutputError.cannotWrite` naming `name`.
    package static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, name: BytePath
    ) throws(OutputError) {
        switch writeAll(bytes, to: descriptor) {
        case nil: return
        case EPIPE: throw .closed
        case let code?: throw .cannotWrite(path: name, reason: systemReason(code))
        }
    }
}

/// Where rows go: standard output, or a file that appears under its name only when it is whole.
///
/// A regular file is written beside its place under a hidden name, `.NAME.partial-PID`, then synced and renamed; an old
/// file of that name stays as it was until then. What is not a regular file (a device, a FIFO) is written in place.
package final class OutputFile: Sendable {
    private struct Partial {
        let path: BytePath
        let target: BytePath
    }

    private let name: BytePath
    private let descriptor: Int32
    private let state: Mutex<State>
    private let digest = Mutex(SHA256())

    private enum State {
        /// Written where it is: standard output, a device, a FIFO.
        case inPlace
        case partial(Partial)
        case whole
        case discarded
    }

    private init(name: BytePath, descriptor: Int32, partial: Partial?) {
        self.name = name
        self.descriptor = descriptor
        state = Mutex(partial.map(State.partial) ?? .inPlace)
    }

    deinit {
        discard()
        if descriptor != STDOUT_FILENO { close(descriptor) }
    }

    /// Standard output.
    package static func standardOutput() -> OutputFile {
        OutputFile(name: BytePath("standard output"), descriptor: STDOUT_FILENO, partial: nil)
    }

    /// Opens the output at `path`; a symbolic link stays one, and the file it leads to is replaced.
    ///
    /// - Parameter force: whether a file is replaced that has been changed since it was written, or that something else
    ///   wrote.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created there, or there is a file that is not to be
    ///   replaced.
    package static func replacing(_ path: BytePath, force: Bool = true) throws(OutputError) -> OutputFile {
        switch try OutputPlace(path) {
        case .special: return try inPlace(path)
        case .file(let target, let mode):
            if !force { try WrittenMark.check(path) }
            return try beside(target, name: path, mode: mode)
        }
    }

    /// Writes all the bytes.
    ///
    /// - Throws: `OutputError.closed` when a pipe has no reader left, else `OutputError.cannotWrite`.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
        try FileWriting.writeAll(bytes, to: descriptor, name: name)
        if isBeside { digest.withLock { $0.add(bytes) } }
    }

    /// Writes all the bytes of an array.
    ///
    /// - Throws: as `write(_:)` does of bytes anywhere.
    package func write(_ bytes: [UInt8]) throws(OutputError) {
        try bytes.withUnsafeBufferPointer { bytes throws(OutputError) in try write(UnsafeRawBufferPointer(bytes)) }
    }

    /// Whether it is written beside its place.
    private var isBeside: Bool {
        state.withLock { state in
            if case .partial = state { true } else { false }
        }
    }

    /// Puts the file in its place, once all is written.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses; then the old file is still there, and the new one
    ///   gone.
    package func commit() throws(OutputError) {
        let code: Int32 = state.withLock { state in
            if case .discarded = state { return ECANCELED }
            guard case .partial(let file) = state else { return 0 }
            WrittenMark.set(digest.withLock(\.text), on: descriptor)
            guard fsync(descriptor) == 0 else { return errno }
            if let code = FileWriting.rename(file.path, to: file.target, syncs: true) { return code }
            state = .whole
            return 0
        }
        guard code != 0 else { return }
        discard()
        throw .cannotWrite(path: name, reason: systemReason(code))
    }

    /// Removes what was written, unless it is in its place already. Safe to call from any thread.
    ///
    /// - Returns: false when the file is whole and in its place.
    @discardableResult
    package func discard() -> Bool {
        state.withLock { state in
            switch state {
            case .whole: return false
            case .inPlace, .discarded: return true
            case .partial(let file):
                _ = file.path.withCString { unlink($0) }
                state = .discarded
                return true
            }
        }
    }

    private static func inPlace(_ path: BytePath) throws(OutputError) -> OutputFile {
        let descriptor = path.withCString { open($0, O_WRONLY | O_CLOEXEC | O_NOCTTY) }
        guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: systemReason(errno)) }
        return OutputFile(name: path, descriptor: descriptor, partial: nil)
    }

    private static func beside(_ target: BytePath, name: BytePath, mode: UInt32?) throws(OutputError) -> OutputFile {
        let path = OutputPlace.hidden(beside: target, adding: ".partial-\(getpid())")
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        var descriptor = path.withCString { open($0, flags, 0o666) }
        if descriptor < 0, errno == EEXIST {
            // Left by a process that had our number and was killed.
            _ = path.withCString { unlink($0) }
            descriptor = path.withCString { open($0, flags, 0o666) }
        }
        guard descriptor >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
        if let mode { fchmod(descriptor, mode) }
        return OutputFile(name: name, descriptor: descriptor, partial: Partial(path: path, target: target))
    }
}
