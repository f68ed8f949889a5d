import Datasets
import Files
import Glibc
import Images

/// The threads that list, read and prepare the inputs and put them into the ring.
///
/// They take turns at the lister, so that inputs enter the ring in order; everything else runs in parallel.
final class DecodeWorkers: Sendable {
    private final class Work: @unchecked Sendable {
        /// Held while the lister is used, which makes the order of the inputs.
        let turn = Monitor(conditions: 0)
        let lister: InputLister
        let ring: PrefetchRing
        let preparer: any ImagePreparing
        let maximumFileBytes: Int
        let identifying: Identifying
        /// Held while `active` is used.
        let count = Monitor(conditions: 1)
        /// Running threads that have not been abandoned.
        var active = 0

        init(
            lister: InputLister, ring: PrefetchRing, preparer: any ImagePreparing, maximumFileBytes: Int,
            identifying: Identifying
        ) {
            self.identifying = identifying
            self.lister = lister
            self.ring = ring
            self.preparer = preparer
            self.maximumFileBytes = maximumFileBytes
        }
    }

    /// What the threads find out about files besides their images.
    enum Identifying: Sendable {
        case nothing
        /// What each file was when it was read.
        case files
        /// The same, but files whose rows an earlier run has are not read. Gives the number of the row, or nil.
        case reusing(_ find: @Sendable (InputIdentity) -> Int?)
    }

    private let work: Work

    /// Starts the threads.
    ///
    /// - Throws: `LabellingError.system` when not even one thread can be started.
    init(
        count: Int, lister: InputLister, ring: PrefetchRing, preparer: any ImagePreparing, maximumFileBytes: Int,
        identifying: Identifying
    ) throws(LabellingError) {
        work = Work(
            lister: lister, ring: ring, preparer: preparer, maximumFileBytes: maximumFileBytes,
            identifying: identifying)
        for index in 0..<count where !DecodeWorkers.start(work) {
            guard index > 0 else { throw .system("the system cannot start a thread") }
            break
        }
    }

    /// Starts another thread in place of an abandoned one.
    func replaceOne() {
        let isLast = work.count.locked {
            work.active -= 1
            return work.active == 0
        }
        if !DecodeWorkers.start(work), isLast {
            work.ring.end(LabellingError.system("the system cannot start a thread"))
        }
    }

    /// Waits until all threads that have not been abandoned have ended.
    func join() {
        work.count.locked { while work.active > 0 { work.count.wait(work.count[0]) } }
    }

    private static func start(_ work: Work) -> Bool {
        work.count.locked { work.active += 1 }
        let thread = WorkerThread.start(detached: true) {
            guard run(work) else { return }
            work.count.locked {
                work.active -= 1
                work.count.signal(work.count[0])
            }
        }
        guard thread == nil else { return true }
        work.count.locked { work.active -= 1 }
        return false
    }

    /// Works until no input is left; returns false when the thread was abandoned before that.
    private static func run(_ work: Work) -> Bool {
        var reader = FileReader(limit: work.maximumFileBytes)
        while let (slot, input) = nextInput(work) {
            guard work.ring.finish(slot, failure: prepare(slot, input, &reader, work)) else { return false }
        }
        return true
    }

    private static func nextInput(_ work: Work) -> (PrefetchRing.Slot, ListedInput)? {
        work.turn.locked {
            guard let slot = work.ring.nextFree() else { return nil }
            do {
                let input = try work.lister.next(into: &slot.path) { work.ring.listIsWaiting($0) }
                guard let input else {
                    work.ring.end()
                    return nil
                }
                work.ring.claim(slot)
                return (slot, input)
            } catch {
                work.ring.end(error)
                return nil
            }
        }
    }

    /// Reads and prepares one input, unless an earlier run has its row; returns the problem if that fails.
    private static func prepare(
        _ slot: PrefetchRing.Slot, _ input: ListedInput, _ reader: inout FileReader, _ work: Work
    ) -> InputFailure? {
        if case .reusing(let find) = work.identifying {
            slot.activity.touch()
            let status = input == .file ? try? FileStatus.of(BytePath(slot.path)).get() : nil
            let identity = InputIdentity(input, path: slot.path, status: status)
            slot.activity.end()
            if let row = find(identity) {
                (slot.identity, slot.reusedRow) = (identity, row)
                return nil
            }
        }
        var status: FileStatus?
        defer {
            if case .nothing = work.identifying {
            } else {
                slot.identity = InputIdentity(input, path: slot.path, status: status)
            }
        }
        do {
            try reader.read(input, at: BytePath(slot.path), watchedBy: slot.activity) {
                try work.preparer.prepare($0, into: slot.values)
            }
            status = reader.status
            return nil
        } catch {
            return InputFailure(error)
        }
    }
}
