/// The threads that list, read and prepare the inputs and put them into the ring.
///
/// They take turns at the lister, so inputs enter the ring in order; the rest of the work they do side by side.
struct DecodeWorkers {
    private final class Work: @unchecked Sendable {
        /// Held while the lister is used, from which the inputs' order comes.
        let turn = Monitor(conditions: 0)
        let lister: InputLister
        let ring: SlotRing
        let preparer: any ImagePreparing
        let maximumFileBytes: Int

        init(lister: InputLister, ring: SlotRing, preparer: any ImagePreparing, maximumFileBytes: Int) {
            self.lister = lister
            self.ring = ring
            self.preparer = preparer
            self.maximumFileBytes = maximumFileBytes
        }
    }

    private let work: Work
    private let threads: [WorkerThread]

    /// Starts the threads.
    ///
    /// - Throws: `LabellingError.system` when not even one can be started.
    init(
        count: Int, lister: InputLister, ring: SlotRing, preparer: any ImagePreparing, maximumFileBytes: Int
    ) throws(LabellingError) {
        let work = Work(lister: lister, ring: ring, preparer: preparer, maximumFileBytes: maximumFileBytes)
        var started: [WorkerThread] = []
        for _ in 0..<count {
            guard let thread = WorkerThread.start({ DecodeWorkers.run(work) }) else { break }
            started.append(thread)
        }
        guard !started.isEmpty else { throw .system("the system cannot start a thread") }
        self.work = work
        threads = started
    }

    /// Waits until all threads are at their end, and tells how many links the lister left out.
    func join() -> Int {
        for thread in threads { thread.join() }
        return work.lister.loops
    }

    private static func run(_ work: Work) {
        var reader = FileReader(limit: work.maximumFileBytes)
        while let (slot, input) = nextInput(work) {
            switch input {
            case .unreadable(let reason): work.ring.finish(slot, failure: reason)
            case .file: work.ring.finish(slot, failure: prepare(slot, &reader, work.preparer))
            }
        }
    }

    private static func nextInput(_ work: Work) -> (SlotRing.Slot, ListedInput)? {
        work.turn.locked {
            guard let slot = work.ring.nextFree() else { return nil }
            do throws(LabellingError) {
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

    /// Reads and prepares one file; the reason if that fails.
    private static func prepare(
        _ slot: SlotRing.Slot, _ reader: inout FileReader, _ preparer: any ImagePreparing
    ) -> String? {
        do {
            try reader.read(BytePath(slot.path)) { try preparer.prepare($0, into: slot.values) }
            return nil
        } catch {
            return "\(error)"
        }
    }
}
