import Glibc
import Synchronization

/// When a read that is under way last gave something; told by the thread that reads, asked by another.
package final class ReadActivity: Sendable {
    /// Nanoseconds of the monotonic clock; 0 when nothing is being read.
    private let last = Atomic<UInt64>(0)

    /// Nothing is being read yet.
    package init() {}

    /// Reading begins or has got on.
    func touch() { last.store(ReadActivity.now, ordering: .relaxed) }

    /// Reading has come to its end.
    package func end() { last.store(0, ordering: .relaxed) }

    /// For how many seconds nothing has come; 0 when nothing is being read.
    package var silence: Double {
        let last = last.load(ordering: .relaxed)
        return last == 0 ? 0 : Double(Int64(bitPattern: ReadActivity.now &- last)) * 1e-9
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
