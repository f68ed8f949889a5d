import Glibc
import Synchronization

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
    /// - Parameter force: whether a file is replaced that has been changed since it was written, or that something else wrote.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created there, or there is a file that is not to be replaced.
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
        try writeAll(bytes, to: descriptor, name: name)
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
    /// - Throws: `OutputError.cannotWrite` when the disk refuses; then the old file is still there, and the new one gone.
    package func commit() throws(OutputError) {
        let code: Int32 = state.withLock { state in
            if case .discarded = state { return ECANCELED }
            guard case .partial(let file) = state else { return 0 }
            WrittenMark.set(digest.withLock(\.text), on: descriptor)
            guard fsync(descriptor) == 0 else { return errno }
            let renamed = file.path.withCString { from in file.target.withCString { to in rename(from, to) } }
            guard renamed == 0 else { return errno }
            state = .whole
            OutputPlace.syncFolder(file.target.parent)
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
