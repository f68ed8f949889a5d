import CKernels

/// Resizes rows horizontally, one at a time.
struct HorizontalPass: ~Copyable {
    private let starts: [Int32]
    private let weights: [Int32]
    private let taps: Int
    private let width: Int
    /// The row followed by zeros, for pictures narrower than the kernel's groups.
    private var padded: [UInt8]
    private let output: UnsafeMutablePointer<UInt8>

    /// A pass over rows of `width` pixels.
    init(_ axis: ResampleAxis, width: Int) {
        let outputs = axis.starts.count
        let group = Int(MV_RESAMPLE_GROUP)
        let taps = (axis.stride + group - 1) / group * group
        let readable = max(width, taps)
        var starts: [Int32] = []
        var weights = [Int32](repeating: 0, count: outputs * taps)
        for index in 0..<outputs {
            // A window that would exceed the row is moved left; its weights move right within it.
            let start = min(axis.starts[index], readable - taps)
            let shift = axis.starts[index] - start
            starts.append(Int32(truncatingIfNeeded: start))
            for tap in 0..<axis.counts[index] {
                weights[index * taps + shift + tap] = axis.weights[index * axis.stride + tap]
            }
        }
        self.starts = starts
        self.weights = weights
        self.taps = taps
        self.width = width
        padded = width < taps ? [UInt8](repeating: 0, count: taps * 3) : []
        output = .allocate(capacity: outputs * 3)
    }

    deinit { output.deallocate() }

    /// The resized row, valid until the next call.
    mutating func apply(to row: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        if padded.isEmpty {
            mv_resample_row(row, starts, weights, taps, starts.count, output)
        } else {
            for index in 0..<width * 3 { padded[index] = row[index] }
            mv_resample_row(padded, starts, weights, taps, starts.count, output)
        }
        return UnsafePointer(output)
    }
}

/// Resizes vertically: takes rows from the top and returns resized rows as they are completed.
struct VerticalPass: ~Copyable {
    private let axis: ResampleAxis
    private let samples: Int
    /// The sums of the unfinished output rows; output row y has slot y mod `slots`.
    private let sums: UnsafeMutablePointer<Int32>
    private let slots: Int
    private let output: UnsafeMutablePointer<UInt8>
    /// The numbers of output rows that have been started and finished.
    private var (startedRows, finishedRows) = (0, 0)

    /// A pass over rows of `samples` samples.
    init(_ axis: ResampleAxis, samples: Int) {
        self.axis = axis
        self.samples = samples
        var maximumSlots = 1
        var first = 0
        for index in axis.starts.indices {
            while first < index, axis.starts[first] + axis.counts[first] <= axis.starts[index] { first += 1 }
            maximumSlots = max(maximumSlots, index - first + 1)
        }
        slots = maximumSlots
        sums = .allocate(capacity: maximumSlots * samples)
        output = .allocate(capacity: samples)
    }

    deinit {
        sums.deallocate()
        output.deallocate()
    }

    /// Adds input row y. The caller has taken the output rows finished before it.
    mutating func add(_ row: UnsafePointer<UInt8>, _ y: Int) {
        while startedRows < axis.starts.count, axis.starts[startedRows] <= y {
            mv_resample_start(sums + startedRows % slots * samples, samples)
            startedRows += 1
        }
        for index in finishedRows..<startedRows where y < axis.starts[index] + axis.counts[index] {
            let weight = axis.weights[index * axis.stride + y - axis.starts[index]]
            mv_resample_accumulate(row, weight, sums + index % slots * samples, samples)
        }
    }

    /// The next output row, if it depends on no input row from y on; valid until the next call.
    mutating func finished(before y: Int) -> UnsafePointer<UInt8>? {
        guard finishedRows < startedRows, axis.starts[finishedRows] + axis.counts[finishedRows] <= y else { return nil }
        mv_resample_finish(sums + finishedRows % slots * samples, output, samples)
        finishedRows += 1
        return UnsafePointer(output)
    }
}
