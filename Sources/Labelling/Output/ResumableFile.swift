import Datasets
package import Files
import Glibc
import Synchronization

/// A file of rows that a run writes piece by piece, and a later run with the same settings goes on with.
///
/// Beside its place stand `.NAME.partial`, which holds exactly the first bytes of what the file will be, and `.NAME.journal`, which
/// says what they depend on and how far they can be trusted (see `Journal`). When all is written the partial file takes the
/// file's name in one rename. While a run works on it the partial file is locked.
///
/// Call `begin(_:)` once, then write and note, then `commit()` or `leave()`.
package final class ResumableFile: RowOutput {
    /// The name that the caller gave.
    package let name: BytePath
    /// The file of the rows that are there so far.
    package let partial: BytePath
    private let journal: BytePath
    private let target: BytePath
    private let descriptor: Int32
    private let policy: SyncPolicy
    private let state = Mutex(State())

    private struct State {
        var bytes = 0
        var rows = SHA256()
        var start: RunCheckpoint?
        var inputs = 0
        var paths = InputDigest()
        var writer: CheckpointWriter?
    }

    /// How a run begins.
    package enum Beginning: Sendable, Equatable {
        /// With nothing.
        case fresh
        /// After so many inputs of an earlier run.
        case goesOn(inputs: Int)
        /// With nothing, though there were rows: their journal cannot be read.
        case startsOver
    }

    private init(_ path: BytePath, target: BytePath, mode: UInt32?, policy: SyncPolicy) throws(OutputError) {
        name = path
        self.target = target
        self.policy = policy
        partial = OutputPlace.hidden(beside: target, adding: ".partial")
        journal = OutputPlace.hidden(beside: target, adding: ".journal")
        descriptor = try ResumableFile.lock(partial, name: path)
        if let mode { fchmod(descriptor, mode) }
    }

    deinit {
        leave()
        FileLock.close(descriptor)
    }

    /// Opens and locks the partial file beside `path`; nil when there is a device or FIFO, which cannot be gone on with.
    ///
    /// - Parameter force: whether a file is replaced that has been changed since it was written, or that something else wrote.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created there, another run is writing it, or there is a file that is not to
    ///   be replaced.
    package static func open(
        _ path: BytePath, sync policy: SyncPolicy, force: Bool = true
    ) throws(OutputError) -> ResumableFile? {
        guard case .file(let target, let mode) = try OutputPlace(path) else { return nil }
        if !force { try WrittenMark.check(path) }
        return try ResumableFile(path, target: target, mode: mode, policy: policy)
    }

    /// Finds out where to begin: after the rows that an earlier run of the same settings has left whole.
    ///
    /// - Parameters:
    ///   - settings: all that the rows depend on but the inputs.
    ///   - restart: whether to drop what is there.
    /// - Throws: `LabellingError.resume` when it is of other settings; `OutputError.cannotWrite` when the disk refuses.
    package func begin(_ settings: JSONObject, restart: Bool) throws -> Beginning {
        let found = try restart ? (Beginning.fresh, []) : survey(settings)
        let (beginning, checkpoints) = found
        let journal = try Journal(
            replacing: journal, name: name, settings: settings, checkpoints: checkpoints, syncs: policy == .second)
        let end = checkpoints.last?.bytes ?? 0
        guard ftruncate(descriptor, off_t(end)) == 0, lseek(descriptor, off_t(end), SEEK_SET) == off_t(end) else {
            throw OutputError.cannotWrite(path: name, reason: systemReason(errno))
        }
        let writer = try CheckpointWriter(rows: descriptor, name: name, policy: policy, journal: journal)
        state.withLock { state in
            state.writer = writer
            guard let last = checkpoints.last else {
                state.rows = SHA256()
                return
            }
            state.bytes = end
            state.inputs = last.inputs
            state.start = last
        }
        return beginning
    }

    /// How far the run came that this one goes on with.
    package var start: RunCheckpoint? { state.withLock(\.start) }

    /// Writes some bytes of rows.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
        try FileWriting.writeAll(bytes, to: descriptor, name: name)
        state.withLock { state in
            state.bytes += bytes.count
            state.rows.add(bytes)
        }
    }

    /// Takes note of how far the run is; within a second the journal will say so.
    ///
    /// - Throws: `OutputError.cannotWrite` when what was written before could not be kept.
    package func note(_ point: RunPoint) throws(OutputError) {
        try state.withLock { state throws(OutputError) in
            (state.inputs, state.paths) = (point.inputs, point.paths)
            try state.writer?.note(.init(bytes: state.bytes, rows: state.rows, point: point))
        }
    }

    /// The length of what is written, its SHA-256, and the digest of the paths of the inputs whose rows it holds.
    package var written: (bytes: Int, rows: String, paths: String) {
        state.withLock { ($0.bytes, $0.rows.text, $0.paths.text) }
    }

    /// The error about inputs that are not those of the earlier run.
    package func refusal(_ reason: String) -> any Error { LabellingError.resume(partial: partial, reason: reason) }

    /// Gives the file its name, once all is written.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses; then all that was written is still there to go on with.
    package func commit() throws(OutputError) {
        guard let writer = takeWriter() else { return }
        try writer.finish()
        WrittenMark.set(written.rows, on: descriptor)
        guard policy == .never || fsync(descriptor) == 0 else {
            throw .cannotWrite(path: name, reason: systemReason(errno))
        }
        if let code = FileWriting.rename(partial, to: target, syncs: false) {
            throw .cannotWrite(path: name, reason: systemReason(code))
        }
        _ = journal.withCString { unlink($0) }
        if policy != .never { FileWriting.synchronize(folder: target.parent) }
        state.withLock { $0.inputs = 0 }
    }

    /// Ends before all is written: what there is stays, to be gone on with; nothing stays if no input has its row.
    ///
    /// - Returns: how many inputs have their row.
    @discardableResult
    package func leave() -> Int {
        let inputs = state.withLock(\.inputs)
        guard let writer = takeWriter() else {
            // Not begun: rows of an earlier run are not ours to remove.
            removeIfEmpty()
            return inputs
        }
        // The last checkpoint may be lost; those before it are there.
        try? writer.finish()
        if inputs == 0 {
            _ = ftruncate(descriptor, 0)
            removeIfEmpty()
        }
        return inputs
    }

    private func takeWriter() -> CheckpointWriter? {
        state.withLock { state in
            defer { state.writer = nil }
            return state.writer
        }
    }

    private func removeIfEmpty() {
        guard case .success(let status) = FileStatus.of(descriptor: descriptor), status.size == 0,
            case .success(let place) = FileStatus.of(partial), place.isSameFile(as: status)
        else { return }
        _ = partial.withCString { unlink($0) }
        _ = journal.withCString { unlink($0) }
    }
}

// MARK: What an earlier run has left

extension ResumableFile {
    /// Compares what is there with the settings; gives the checkpoints that hold, and leaves the digest of the rows at the last.
    private func survey(_ settings: JSONObject) throws -> (Beginning, [RunCheckpoint]) {
        guard case .success(let status) = FileStatus.of(descriptor: descriptor), status.size > 0 else {
            return (.fresh, [])
        }
        guard let content = Journal.read(journal) else {
            guard case .success = FileStatus.of(journal) else {
                throw LabellingError.resume(partial: partial, reason: "it has no journal that says what it is")
            }
            return (.startsOver, [])
        }
        let checkpoints = try verified(content.checkpoints)
        guard let last = checkpoints.last else { return (.fresh, []) }
        guard content.settings == settings else {
            let reason = settingsDifference(content.settings, settings)
            throw LabellingError.resume(
                partial: partial, reason: "it holds the rows of \(last.inputs) inputs with other settings: \(reason)")
        }
        return (.goesOn(inputs: last.inputs), checkpoints)
    }

    /// The checkpoints whose rows are in the file as they were written.
    private func verified(_ checkpoints: [RunCheckpoint]) throws(OutputError) -> [RunCheckpoint] {
        var digest = SHA256()
        var position = 0
        var count = 0
        for checkpoint in checkpoints {
            var next = digest
            guard checkpoint.bytes >= position, try add(position..<checkpoint.bytes, to: &next),
                next.text == checkpoint.rows
            else { break }
            digest = next
            position = checkpoint.bytes
            count += 1
        }
        state.withLock { $0.rows = digest }
        return Array(checkpoints.prefix(count))
    }

    /// Adds a part of the rows' file to a digest; false when the file ends before it does.
    private func add(_ range: Range<Int>, to digest: inout SHA256) throws(OutputError) -> Bool {
        var block = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var position = range.lowerBound
        while position < range.upperBound {
            let wanted = min(block.count, range.upperBound - position)
            let count = block.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, wanted, off_t(position)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
            if count == 0 { return false }
            block.withUnsafeBytes { digest.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            position += count
        }
        return true
    }

    /// Opens a file and locks it until it is closed.
    private static func lock(_ path: BytePath, name: BytePath) throws(OutputError) -> Int32 {
        while true {
            let descriptor = path.withCString { Glibc.open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666) }
            guard descriptor >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
            if let code = FileLock.take(descriptor) {
                close(descriptor)
                throw .cannotWrite(
                    path: name, reason: code == EWOULDBLOCK ? "another run is writing it" : systemReason(code))
            }
            // The run that held the lock may have given the file its name in the meantime.
            if case .success(let opened) = FileStatus.of(descriptor: descriptor),
                case .success(let there) = FileStatus.of(path),
                opened.isSameFile(as: there)
            {
                return descriptor
            }
            FileLock.close(descriptor)
        }
    }
}
