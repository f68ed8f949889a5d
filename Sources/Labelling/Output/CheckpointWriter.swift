import Datasets
import Files
import Glibc

/// When rows are forced to reach the disk.
package enum SyncPolicy: String, Sendable, CaseIterable {
    /// Every second, and before the file gets its name: a power failure loses at most the last second.
    case second
    /// Only before the file gets its name.
    case end
    /// Never: after a power failure, even a finished file may be empty.
    case never
}

/// Records the progress of a run: once per second, a thread syncs the rows written so far and then adds a checkpoint to
/// the journal, so that the run itself never waits for the disk.
final class CheckpointWriter: @unchecked Sendable {
    /// How far the file of rows has been written.
    struct Progress {
        let bytes: Int
        let rows: SHA256
        let point: RunPoint
        /// The digests of the entries in companions, by their keys.
        var entries: [(key: String, digest: SHA256)] = []

        var checkpoint: RunCheckpoint {
            RunCheckpoint(
                bytes: bytes, inputs: point.inputs, failed: point.failed, belowThreshold: point.belowThreshold,
                rows: rows.text, paths: point.paths.text, failures: point.failures,
                entries: Dictionary(entries.map { ($0.key, $0.digest.text) }) { $1 })
        }
    }

    private let monitor = Monitor(conditions: 1)
    private let rows: Int32
    private let name: BytePath
    private let policy: SyncPolicy
    private let companions: [EntryFile]
    // Guarded by the monitor:
    private var latest: Progress?
    private var failure: OutputError?
    private var isEnding = false
    // Used by the thread alone, and after its end by the owner:
    private var journal: Journal
    private var thread: WorkerThread?

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - rows: the descriptor of the file of rows.
    ///   - name: the output's name, for errors.
    ///   - companions: files that are synced with the rows.
    /// - Throws: `OutputError.cannotWrite` when no thread can be started.
    init(
        rows: Int32, name: BytePath, policy: SyncPolicy, companions: [EntryFile], journal: consuming Journal
    ) throws(OutputError) {
        self.companions = companions
        self.rows = rows
        self.name = name
        self.policy = policy
        self.journal = journal
        thread = WorkerThread.start { [unowned self] in run() }
        guard thread != nil else { throw .cannotWrite(path: name, reason: "the system cannot start a thread") }
    }

    /// Takes the progress for the next checkpoint.
    ///
    /// - Throws: the error of writing an earlier checkpoint.
    func note(_ progress: Progress) throws(OutputError) {
        try monitor.locked { () throws(OutputError) in
            if let failure { throw failure }
            latest = progress
        }
    }

    /// Ends the thread and writes the last checkpoint.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func finish() throws(OutputError) {
        monitor.locked {
            isEnding = true
            monitor.signal(monitor[0])
        }
        thread?.join()
        thread = nil
        if let failure { throw failure }
        if let progress = latest { try save(progress) }
        latest = nil
    }

    private func run() {
        while true {
            let (progress, isLast) = monitor.locked {
                if !isEnding { monitor.wait(monitor[0], seconds: 1) }
                defer { if !isEnding { latest = nil } }
                return (isEnding ? nil : latest, isEnding)
            }
            if isLast { return }
            guard let progress else { continue }
            do throws(OutputError) { try save(progress) } catch {
                monitor.locked { failure = error }
                return
            }
        }
    }

    private func save(_ progress: Progress) throws(OutputError) {
        guard policy != .second || fdatasync(rows) == 0 else {
            throw .cannotWrite(path: name, reason: systemReason(errno))
        }
        if policy == .second { for file in companions { try file.synchronize() } }
        try journal.append(progress.checkpoint)
    }
}
