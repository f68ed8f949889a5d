import Files

/// The bounded queue between the decode workers and the engine: a ring of slots, handed out and taken back in the order
/// of the inputs, so that rows are ordered by construction and memory does not grow with the number of inputs.
///
/// A slot goes round: free, claimed by a worker with an input's path, done (prepared, or failed for a reason), taken by
/// the engine, free. Its path and its floats are touched only by whoever holds it; all else is under the monitor.
///
/// A worker whose file gives no byte for too long is given up with its slot: a new slot with the reason takes its
/// place, and nothing waits for that worker any more.
final class PrefetchRing: @unchecked Sendable {
    /// One place of the ring.
    final class Slot {
        /// The input's path.
        var path: [UInt8] = []
        /// The prepared image.
        let values: UnsafeMutableBufferPointer<Float>
        /// Why there is no image.
        var failure: InputFailure?
        /// Where reading the input's file is.
        let activity = ReadActivity()
        fileprivate var isDone = false
        /// The look at which its file was first found to hang.
        fileprivate var suspected: Int?
        /// Whether the worker that holds it has been given up.
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
    /// How often it was looked whether a file hangs.
    private var looks = 0
    /// The number of inputs claimed and of those taken so far; the difference is in the ring.
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

    /// Seconds between two looks at whether to stop, and at files that hang.
    private static let pollInterval = 0.1
    /// More workers than these are not given up: then the run is.
    private static let maximumAbandoned = 64

    /// A ring of so many slots, each for an image of so many floats.
    ///
    /// - Parameter timeout: seconds without a byte after which a file is given up.
    init(slots count: Int, valuesPerImage: Int, timeout: Double) {
        self.valuesPerImage = valuesPerImage
        self.timeout = timeout
        slots = (0..<count).map { _ in Slot(values: valuesPerImage) }
    }

    // MARK: The workers' side

    /// Waits for a free slot; nil when there is nothing more to do. Called by one worker at a time.
    func nextFree() -> Slot? {
        monitor.locked {
            while claimed - taken == slots.count && !isStopped && !isEnded { monitor.wait(freed) }
            return isStopped || isEnded ? nil : slots[claimed % slots.count]
        }
    }

    /// Enters the slot that `nextFree` gave as the next input.
    func claim(_ slot: Slot) {
        monitor.locked {
            slot.failure = nil
            slot.isDone = false
            slot.suspected = nil
            claimed += 1
        }
    }

    /// Hands a claimed slot to the engine, as an image or, with a reason, without; false when the worker has been given
    /// up.
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

    /// There are no more inputs, or, with an error, it cannot be known.
    func end(_ failure: (any Error)? = nil) {
        monitor.locked {
            isEnded = true
            if error == nil { error = failure }
            monitor.signal(changed)
            monitor.signal(freed)
        }
    }

    /// The list of inputs has nothing to give for now, or goes on. Answers whether to go on waiting.
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

    /// Waits for the next slots to take, in order: as many as hold `images` images. Fewer when waiting for more would
    /// stall: at the end, when the ring is full, while the list of inputs is silent, and for the first image of all, so
    /// that the first row comes early. Failed inputs at the front are taken at once. Nil when all inputs are taken.
    ///
    /// - Parameters:
    ///   - isStopped: asked again and again; when it says so the answer is nil, too.
    ///   - abandoned: told of every worker that is given up.
    /// - Throws: the error that listing the inputs ended with, once all before it is taken.
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
                if giveUpHanging() {
                    abandoned()
                } else {
                    looks += 1
                    monitor.wait(changed, seconds: PrefetchRing.pollInterval)
                }
            }
            return nil
        }
    }

    /// Whether all inputs there are have been taken.
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

    /// How many inputs there are in all, once that is known.
    var total: Int? { monitor.locked { isEnded ? claimed : nil } }

    /// Gives up one worker whose file hangs; false when there is none. It must hang at two looks: after the process
    /// itself was stopped for a while every read looks as if it hung.
    private func giveUpHanging() -> Bool {
        for index in (taken..<claimed).lazy.map({ $0 % self.slots.count }) {
            let slot = slots[index]
            guard !slot.isDone else { continue }
            guard slot.activity.silence > timeout else {
                slot.suspected = nil
                continue
            }
            guard let first = slot.suspected, first < looks else {
                slot.suspected = slot.suspected ?? looks
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

    /// The length of the run of done slots at the front that holds at most `limit` images, and how many it holds.
    private func readyRun(_ limit: Int) -> (slots: Int, images: Int) {
        var run = 0
        var images = 0
        while taken + run < claimed {
            let slot = slots[(taken + run) % slots.count]
            guard slot.isDone, slot.failure != nil || images < limit else { break }
            if slot.failure == nil { images += 1 }
            run += 1
        }
        return (run, images)
    }
}
