import Datasets
package import Files
import Glibc
import Synchronization

/// A file of rows that a later run with the same settings can resume.
///
/// The rows are in `.NAME.partial`, exactly as they will be in the file `NAME`. `.NAME.journal` holds the settings that
/// they depend on, and checkpoints (see `Journal`). When all rows are written, the partial file is renamed to `NAME`.
/// The partial file is locked while a run writes it.
///
/// Call `begin(_:restart:)` once, then `write(_:)` and `note(_:)`, then `commit()` or `leave()`.
package final class ResumableFile: RowOutput {
    /// The file's name as the caller gave it.
    package let name: BytePath
    /// The file of the rows so far.
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
        var companions = RowCompanions()
    }

    /// Where a run begins.
    package enum Beginning: Sendable, Equatable {
        /// At the first input.
        case fresh
        /// After the inputs of an earlier run.
        case resumes(inputs: Int)
        /// At the first input, although there were rows: their journal is damaged.
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

    /// Opens and locks the partial file beside `path`; returns nil for a device or FIFO, which cannot be resumed.
    ///
    /// - Parameter force: whether to replace a file that was changed since mergevit wrote it, or that another program
    ///   wrote.
    /// - Throws: `OutputError.cannotWrite` when the partial file cannot be created, another run is writing it, or there
    ///   is a file that must not be replaced.
    package static func open(
        _ path: BytePath, sync policy: SyncPolicy, force: Bool = true
    ) throws(OutputError) -> ResumableFile? {
        guard case .file(let target, let mode) = try OutputPlace(path) else { return nil }
        if !force { try WrittenMark.check(path) }
        return try ResumableFile(path, target: target, mode: mode, policy: policy)
    }

    /// Begins after the intact rows of an earlier run with the same settings, or at the first input.
    ///
    /// - Parameters:
    ///   - settings: everything that the rows depend on except the inputs.
    ///   - restart: whether to drop the rows of an earlier run.
    ///   - companions: files that are written, resumed and committed with the rows.
    /// - Throws: `LabellingError.resume` when the earlier run had other settings; `OutputError.cannotWrite` when the
    ///   disk refuses.
    package func begin(
        _ settings: JSONObject, restart: Bool, companions: RowCompanions = RowCompanions()
    ) throws -> Beginning {
        let (beginning, checkpoints) = try restart ? (.fresh, []) : survey(settings, companions.all)
        for file in companions.all { try file.begin(keeping: checkpoints.last?.inputs ?? 0) }
        let journal = try Journal(
            replacing: journal, name: name, settings: settings, checkpoints: checkpoints, syncs: policy == .second)
        let end = checkpoints.last?.bytes ?? 0
        guard ftruncate(descriptor, off_t(end)) == 0, lseek(descriptor, off_t(end), SEEK_SET) == off_t(end) else {
            throw OutputError.cannotWrite(path: name, reason: systemReason(errno))
        }
        let writer = try CheckpointWriter(
            rows: descriptor, name: name, policy: policy, companions: companions.all, journal: journal)
        state.withLock { state in
            state.writer = writer
            state.companions = companions
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

    /// The last checkpoint of the earlier run that this one resumes.
    package var start: RunCheckpoint? { state.withLock(\.start) }

    /// The files that are written with the rows.
    package var companions: RowCompanions { state.withLock(\.companions) }

    /// The target of the file's name, at the end of any links.
    package var place: BytePath { target }

    /// Writes bytes of rows.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(OutputError) {
        try FileWriting.writeAll(bytes, to: descriptor, name: name)
        state.withLock { state in
            state.bytes += bytes.count
            state.rows.add(bytes)
        }
    }

    /// Takes the progress of the run, which the journal records within a second.
    ///
    /// - Throws: `OutputError.cannotWrite` when earlier rows did not reach the disk.
    package func note(_ point: RunPoint) throws(OutputError) {
        try state.withLock { state throws(OutputError) in
            (state.inputs, state.paths) = (point.inputs, point.paths)
            let entries = state.companions.all.map { ($0.key, $0.digest) }
            try state.writer?.note(.init(bytes: state.bytes, rows: state.rows, point: point, entries: entries))
        }
    }

    /// The length of the rows written, their SHA-256, and the digest of the paths of their inputs.
    package var written: (bytes: Int, rows: String, paths: String) {
        state.withLock { ($0.bytes, $0.rows.text, $0.paths.text) }
    }

    /// The error for inputs that are not those of the earlier run.
    package func refusal(_ reason: String) -> any Error { LabellingError.resume(partial: partial, reason: reason) }

    /// Gives the file its name, once all rows are written.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses; the run can then still be resumed.
    package func commit() throws(OutputError) {
        guard let writer = takeWriter() else { return }
        try writer.finish()
        let (rows, companions) = (written.rows, companions)
        for file in companions.all { try file.seal(rows: rows, syncs: policy != .never) }
        if let features = companions.features?.file {
            try features.mark()
            try features.rename()
        }
        WrittenMark.set(rows, on: descriptor)
        guard policy == .never || fsync(descriptor) == 0 else {
            throw .cannotWrite(path: name, reason: systemReason(errno))
        }
        if let code = FileWriting.rename(partial, to: target, syncs: false) {
            throw .cannotWrite(path: name, reason: systemReason(code))
        }
        // If the run ends here, `ReusableRows` finds the record under its partial name.
        try companions.files?.rename()
        _ = journal.withCString { unlink($0) }
        if policy != .never { FileWriting.synchronize(folder: target.parent) }
        state.withLock { $0.inputs = 0 }
    }

    /// Ends before all rows are written. The rows so far stay, to be resumed; without any, no file stays.
    ///
    /// - Returns: the number of inputs that have their row.
    @discardableResult
    package func leave() -> Int {
        let inputs = state.withLock(\.inputs)
        guard let writer = takeWriter() else {
            // Not begun: rows of an earlier run must stay.
            removeIfEmpty()
            return inputs
        }
        // The last checkpoint may be lost; those before it are there.
        try? writer.finish()
        if inputs == 0 {
            _ = ftruncate(descriptor, 0)
            for file in companions.all { file.remove() }
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
            case .success(let current) = FileStatus.of(partial), current.isSameFile(as: status)
        else { return }
        _ = partial.withCString { unlink($0) }
        _ = journal.withCString { unlink($0) }
    }
}

// MARK: The rows of an earlier run

extension ResumableFile {
    /// Compares the journal with the settings.
    ///
    /// - Returns: the beginning, and the checkpoints whose rows, and entries in companions, are intact; `state` has the
    ///   digest of the rows at the last.
    private func survey(
        _ settings: JSONObject, _ companions: [EntryFile]
    ) throws -> (Beginning, [RunCheckpoint]) {
        guard case .success(let status) = FileStatus.of(descriptor: descriptor), status.size > 0 else {
            return (.fresh, [])
        }
        guard let content = Journal.read(journal) else {
            guard case .success = FileStatus.of(journal) else {
                throw LabellingError.resume(partial: partial, reason: "it has no journal that says what it is")
            }
            return (.startsOver, [])
        }
        guard content.settings == settings else {
            guard let last = try verified(content.checkpoints, []).last else { return (.fresh, []) }
            let reason = settingsDifference(content.settings, settings)
            throw LabellingError.resume(
                partial: partial, reason: "it holds the rows of \(last.inputs) inputs with other settings: \(reason)")
        }
        let checkpoints = try verified(content.checkpoints, companions)
        guard let last = checkpoints.last else { return (.fresh, []) }
        return (.resumes(inputs: last.inputs), checkpoints)
    }

    /// The checkpoints whose rows and entries are in the files unchanged.
    private func verified(
        _ checkpoints: [RunCheckpoint], _ companions: [EntryFile]
    ) throws(OutputError) -> [RunCheckpoint] {
        var digest = SHA256()
        var position = 0
        var count = 0
        for checkpoint in checkpoints {
            var next = digest
            guard checkpoint.bytes >= position,
                try FileWriting.add(position..<checkpoint.bytes, of: descriptor, to: &next, name: name),
                next.text == checkpoint.rows
            else { break }
            var isWhole = true
            for file in companions where isWhole {
                isWhole = try file.hasEntries(checkpoint.inputs, digest: checkpoint.entries[file.key] ?? "")
            }
            guard isWhole else { break }
            digest = next
            position = checkpoint.bytes
            count += 1
        }
        state.withLock { $0.rows = digest }
        return Array(checkpoints.prefix(count))
    }

    /// Opens a file and locks it until it is closed.
    static func lock(_ path: BytePath, name: BytePath) throws(OutputError) -> Int32 {
        while true {
            let descriptor = path.withCString { Glibc.open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666) }
            guard descriptor >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
            if let code = FileLock.take(descriptor) {
                close(descriptor)
                throw .cannotWrite(
                    path: name, reason: code == EWOULDBLOCK ? "another run is writing it" : systemReason(code))
            }
            // The run that held the lock may have renamed the file in the meantime.
            if case .success(let opened) = FileStatus.of(descriptor: descriptor),
                case .success(let current) = FileStatus.of(path),
                opened.isSameFile(as: current)
            {
                return descriptor
            }
            FileLock.close(descriptor)
        }
    }
}
