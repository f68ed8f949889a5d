import Files
import Glibc
import Synchronization

/// Counts the inputs on a thread of low priority while the run is under way, so that progress can tell the time left.
package final class InputCounter: Sendable {
    private struct State {
        var total: Int?
        var isStopped = false
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()

    /// Starts to count, unless the inputs can be read only once.
    package init(_ source: InputSource) {
        guard source.isRepeatable else { return }
        let shared = shared
        _ = WorkerThread.start(detached: true) {
            // On Linux this is about the calling thread alone.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
            guard let lister = try? InputLister(source) else { return }
            var path: [UInt8] = []
            var count = 0
            while true {
                if shared.state.withLock({ $0.isStopped }) { return }
                guard (try? lister.next(into: &path, waiting: { _ in true })) != nil else { break }
                count += 1
            }
            shared.state.withLock { $0.total = count }
        }
    }

    deinit { stop() }

    /// The number of inputs, once they are counted.
    package var total: Int? { shared.state.withLock { $0.total } }

    /// Gives up counting.
    package func stop() { shared.state.withLock { $0.isStopped = true } }
}
