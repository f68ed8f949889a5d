import Datasets
import Files

/// The bounded queue between the decode workers and the engine: a ring of slots that are filled and emptied in the
/// order of the inputs. So rows are in order by construction, and memory does not grow with the number of inputs.
///
/// The states of a slot are: free, claimed by a worker with an input's path, done (prepared, or failed for a reason),
/// taken by the engine, and free again. Its path and its values are touched only by its holder; the rest is guarded by
/// the monitor.
///
/// A worker whose file gives no byte for too long is abandoned with its slot: a new slot with the reason replaces it,
/// and nothing waits for that worker any more.
final class PrefetchRing: @unchecked Sendable {
    /// One element of the ring.
    final class Slot {
        /// The input's path.
        var path: [UInt8] = []
        /// The prepared image.
        let values: UnsafeMutableBufferPointer<Float>
        /// Why there is no image.
        var failure: InputFailure?
        /// What the input was when it was read, if that is wanted.
        var identity: InputIdentity?
        /// The number of its row in an earlier run, if that row is taken and the file is not read.
        var reusedRow: Int?
        /// Whether it has a prepared image.
        var hasImage: Bool { failure == nil && reusedRow == nil }
        /// The progress of reading the input's file.
        let activity = ReadActivity()
        fileprivate var isDone = false
        /// The number of the check at which its file first seemed to hang.
        fileprivate var suspicion: Int?
        /// Whether its worker has been abandoned.
        fileprivate var isAbandoned = false

        fileprivate init(values: Int) {
            self.values = .allocate(capacity: values)
            self.values.initialize(repeating: 0)
        }

        deinit { values.deallocate() }
    }

    private let monitor = Monitor(conditions: 2)
    private var slots: [Slot]
    private let valuesPerImage: Int
    private let timeout: Double
    private var abandoned = 0
    /// The number of checks for files that hang.
    private var checks = 0
    /// The numbers of inputs claimed and taken so far; the difference is in the ring.
    private var claimed = 0
    private var taken = 0
    private var doneInRing = 0
    private var isEnded = false
    private var isStopped = false
    private var isListWaiting = false
    private var hasTakenImages = false
    private var error: (any Error)?

    private var freed: Monitor.Condition { monitor[0] }
    private var changed: Monitor.Condition { monitor[1] }

    /// Seconds between two checks whether to stop and whether files hang.
    private static let pollInterval = 0.1
    /// The run fails when more workers than these have been abandoned.
    private static let maximumAbandoned = 64

    /// A ring of `count` slots, each for an image of `valuesPerImage` floats.
    ///
    /// - Parameter timeout: seconds without a byte after which reading a file is abandoned.
    init(slots count: Int, valuesPerImage: Int, timeout: Double) {
        self.valuesPerImage = valuesPerImage
        self.timeout = timeout
        slots = (0..<count).map { _ in Slot(values: valuesPerImage) }
    }

    // MARK: The workers' side

    /// Waits for a free slot; returns nil when no input is left or the run stops. Called by one worker at a time.
    func nextFree() -> Slot? {
        monitor.locked {
            while claimed - taken == slots.count && !isStopped && !isEnded { monitor.wait(freed) }
            return isStopped || isEnded ? nil : slots[claimed % slots.count]
        }
    }

    /// Makes the slot that `nextFree` returned the next input of the queue.
    func claim(_ slot: Slot) {
        monitor.locked {
            slot.failure = nil
            slot.identity = nil
            slot.reusedRow = nil
            slot.isDone = false
            slot.suspicion = nil
            claimed += 1
        }
    }

    /// Passes a claimed slot to the engine; returns false when its worker has been abandoned.
    ///
    /// - Parameter failure: the reason why there is no image.
    func finish(_ slot: Slot, failure: InputFailure? = nil) -> Bool {
        monitor.locked {
            guard !slot.isAbandoned else { return false }
            slot.failure = failure
            slot.isDone = true
            doneInRing += 1
            monitor.signal(changed)
            return true
        }
    }

    /// Says that there are no more inputs, or that listing them failed.
    func end(_ failure: (any Error)? = nil) {
        monitor.locked {
            isEnded = true
            if error == nil { error = failure }
            monitor.signal(changed)
            monitor.signal(freed)
        }
    }

    /// Says that the list of inputs has none at the moment, or continues. Returns whether to keep waiting.
    func listIsWaiting(_ waiting: Bool) -> Bool {
        monitor.locked {
            if isListWaiting != waiting {
                isListWaiting = waiting
                monitor.signal(changed)
            }
            return !isStopped
        }
    }

    // MARK: The engine's side

    /// Waits for the next slots in order, up to `images` images.
    ///
    /// Fewer are returned where waiting would stall: at the end, when the ring is full, while the list of inputs is
    /// silent, and for the first image, so that the first row comes early. Inputs without an image at the front are
    /// returned at once.
    ///
    /// - Parameters:
    ///   - isStopped: polled; ends the wait.
    ///   - abandoned: called for every worker that is abandoned.
    /// - Returns: the slots; nil when all inputs have been taken or `isStopped` returned true.
    /// - Throws: the error of listing the inputs, once all inputs before it have been taken.
    func take(
        images: Int, unless isStopped: () -> Bool, abandoned: () -> Void
    ) throws -> [Slot]? {
        try monitor.locked { () throws -> [Slot]? in
            while !isStopped() {
                let (run, imagesInRun) = readyRun(images)
                let isWhole =
                    imagesInRun == images || run == slots.count || (run > 0 && imagesInRun == 0)
                    || (imagesInRun > 0 && !hasTakenImages)
                let nothingMoves = doneInRing == claimed - taken && (isEnded || isListWaiting)
                if run > 0 && (isWhole || nothingMoves) {
                    if imagesInRun > 0 { hasTakenImages = true }
                    return (taken..<(taken + run)).map { slots[$0 % slots.count] }
                }
                if isEnded && claimed == taken {
                    if let error { throw error }
                    return nil
                }
                if abandonHangingWorker() {
                    abandoned()
                } else {
                    checks += 1
                    monitor.wait(changed, seconds: PrefetchRing.pollInterval)
                }
            }
            return nil
        }
    }

    /// Whether all inputs have been taken.
    var isDrained: Bool { monitor.locked { isEnded && claimed == taken && error == nil } }

    /// Makes the first `count` slots free again.
    func release(_ count: Int) {
        monitor.locked {
            taken += count
            doneInRing -= count
            monitor.signal(freed)
        }
    }

    /// Tells the workers to stop as soon as they can.
    func stop() {
        monitor.locked {
            isStopped = true
            monitor.signal(freed)
        }
    }

    /// The number of all inputs, once the last has been listed.
    var total: Int? { monitor.locked { isEnded ? claimed : nil } }

    /// Abandons one worker whose file hangs; returns false when there is none. The file must hang at two checks,
    /// because every read seems to hang after the process itself was suspended.
    private func abandonHangingWorker() -> Bool {
        for index in (taken..<claimed).lazy.map({ $0 % self.slots.count }) {
            let slot = slots[index]
            guard !slot.isDone else { continue }
            guard slot.activity.silence > timeout else {
                slot.suspicion = nil
                continue
            }
            guard let first = slot.suspicion, first < checks else {
                slot.suspicion = slot.suspicion ?? checks
                continue
            }
            slot.isAbandoned = true
            let substitute = Slot(values: valuesPerImage)
            substitute.path = slot.path
            substitute.failure = InputFailure(
                .unreadable, "reading the file took too long: no byte in \(Int(timeout)) s")
            substitute.isDone = true
            slots[index] = substitute
            doneInRing += 1
            abandoned += 1
            if abandoned > PrefetchRing.maximumAbandoned, !isEnded {
                isEnded = true
                error = LabellingError.system("reading \(abandoned) files took too long; is the file system there?")
                monitor.signal(freed)
            }
            return true
        }
        return false
    }

    /// The done slots at the front that hold at most `limit` images: their number and that of the images.
    private func readyRun(_ limit: Int) -> (slots: Int, images: Int) {
        var run = 0
        var images = 0
        while taken + run < claimed {
            let slot = slots[(taken + run) % slots.count]
            guard slot.isDone, !slot.hasImage || images < limit else { break }
            if slot.hasImage { images += 1 }
            run += 1
        }
        return (run, images)
    }
}
