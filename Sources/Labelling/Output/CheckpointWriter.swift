import Datasets
import Files
import Glibc

/// When rows are made to reach the disk.
package enum SyncPolicy: String, Sendable, CaseIterable {
    /// At least every second, and before the file takes its name: after a power failure at most the last second is
    /// lost.
    case second
    /// Only before the file takes its name; until then the system writes when it likes to.
    case end
    /// Never; after a power failure a file that has its name may be empty.
    case never
}

/// Keeps a run's place: once a second a thread makes the rows that have been written reach the disk and then adds a
/// checkpoint to the journal, so that the run itself never waits for the disk.
final class CheckpointWriter: @unchecked Sendable {
    /// How far the rows' file is, to be kept with the next checkpoint.
    struct Place {
        let bytes: Int
        let rows: SHA256
        let point: RunPoint

        var checkpoint: RunCheckpoint {
            RunCheckpoint(
                bytes: bytes, inputs: point.inputs, failed: point.failed, belowThreshold: point.belowThreshold,
                rows: rows.text, paths: point.paths.text, failures: point.failures)
        }
    }

    private let monitor = Monitor(conditions: 1)
    private let rows: Int32
    private let name: BytePath
    private let policy: SyncPolicy
    // Under the monitor:
    private var latest: Place?
    private var failure: OutputError?
    private var isEnding = false
    // The thread's alone, and after its end its owner's:
    private var journal: Journal
    private var thread: WorkerThread?

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - rows: the descriptor of the rows' file.
    ///   - name: the output's name, for errors.
    /// - Throws: `OutputError.cannotWrite` when no thread can be started.
    init(rows: Int32, name: BytePath, policy: SyncPolicy, journal: consuming Journal) throws(OutputError) {
        self.rows = rows
        self.name = name
        self.policy = policy
        self.journal = journal
        thread = WorkerThread.start { [unowned self] in run() }
        guard thread != nil else { throw .cannotWrite(path: name, reason: "the system cannot start a thread") }
    }

    /// Takes note of a place, for the next checkpoint.
    ///
    /// - Throws: the error that keeping an earlier one ended with.
    func note(_ place: Place) throws(OutputError) {
        try monitor.locked { () throws(OutputError) in
            if let failure { throw failure }
            latest = place
        }
    }

    /// Ends the thread, and keeps the last place that was noted.
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
        if let place = latest { try keep(place) }
        latest = nil
    }

    private func run() {
        while true {
            let (place, isLast) = monitor.locked {
                if !isEnding { monitor.wait(monitor[0], seconds: 1) }
                defer { if !isEnding { latest = nil } }
                return (isEnding ? nil : latest, isEnding)
            }
            if isLast { return }
            guard let place else { continue }
            do throws(OutputError) { try keep(place) } catch {
                monitor.locked { failure = error }
                return
            }
        }
    }

    private func keep(_ place: Place) throws(OutputError) {
        guard policy != .second || fdatasync(rows) == 0 else {
            throw .cannotWrite(path: name, reason: systemReason(errno))
        }
        try journal.append(place.checkpoint)
    }
}
