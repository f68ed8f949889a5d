internal import CLAPACK
internal import COneDNN
import Files
import Glibc
import Synchronization

/// A fixed team of threads that work through numbered items together; the caller is one of them.
///
/// Items are handed out one at a time, so a result must depend on the item only, never on the worker.
/// Only one thread at a time may call `forEach`. The threads end with the pool.
package final class WorkerPool: @unchecked Sendable {
    /// The number of threads, including the caller.
    package let workers: Int

    private let team = Team()
    private var threads: [WorkerThread] = []

    /// Starts `workers - 1` threads.
    ///
    /// - Throws: `ComputeError` when the system gives no more threads.
    package init(workers: Int) throws(ComputeError) {
        self.workers = max(workers, 1)
        for worker in 1..<self.workers {
            let thread = WorkerThread.start { [team] in team.serve(as: worker) }
            guard let thread else {
                throw ComputeError(operation: "start \(workers) threads", reason: systemReason(EAGAIN))
            }
            threads.append(thread)
        }
    }

    deinit {
        team.stop()
        for thread in threads { thread.join() }
    }

    /// Calls `body` once for every item in `0..<count`, on all workers, and returns when all are done.
    package func forEach(_ count: Int, _ body: (_ worker: Int, _ item: Int) -> Void) {
        withoutActuallyEscaping(body) { team.run(count, others: workers - 1, $0) }
    }

    /// The results of `body` for every item in `0..<count`, computed on all workers.
    ///
    /// - Throws: the error of the first item that has one.
    package func map<Value>(_ count: Int, _ body: (_ item: Int) throws -> Value) throws -> [Value] {
        let results = UnsafeMutableBufferPointer<Result<Value, any Error>?>.allocate(capacity: count)
        results.initialize(repeating: nil)
        defer {
            results.deinitialize()
            results.deallocate()
        }
        forEach(count) { _, item in results[item] = Result { try body(item) } }
        return try results.compactMap { try $0?.get() }
    }
}

/// What a pool shares with its threads. They hold this and not the pool, which would never be released otherwise.
private final class Team: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var body: ((_ worker: Int, _ item: Int) -> Void)?
    private var next = 0
    private var count = 0
    private var running = 0
    private var round = 0
    private var stopping = false

    init() {
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Works through the items as worker 0 together with `others` workers, and returns when all are done.
    func run(_ count: Int, others: Int, _ body: @escaping (_ worker: Int, _ item: Int) -> Void) {
        pthread_mutex_lock(mutex)
        self.body = body
        (self.count, next, running) = (count, 0, others)
        round += 1
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
        work(as: 0, body)
        pthread_mutex_lock(mutex)
        while running > 0 { pthread_cond_wait(changed, mutex) }
        self.body = nil
        pthread_mutex_unlock(mutex)
    }

    /// Waits for work and does it, until the team stops.
    func serve(as worker: Int) {
        mv_single_thread()
        var lastRound = 0
        pthread_mutex_lock(mutex)
        while true {
            while !stopping, round == lastRound { pthread_cond_wait(changed, mutex) }
            if stopping { break }
            lastRound = round
            let body = body
            pthread_mutex_unlock(mutex)
            if let body { work(as: worker, body) }
            pthread_mutex_lock(mutex)
            running -= 1
            pthread_cond_broadcast(changed)
        }
        pthread_mutex_unlock(mutex)
    }

    /// Ends the threads.
    func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    private func work(as worker: Int, _ body: (Int, Int) -> Void) {
        while true {
            pthread_mutex_lock(mutex)
            let item = next
            next += 1
            let last = count
            pthread_mutex_unlock(mutex)
            guard item < last else { return }
            body(worker, item)
        }
    }
}

/// The library of decompositions and sums of products.
package enum BLAS {
    /// The processor whose kernels it uses, by its own name.
    package static var kernels: String { String(cString: mv_blas_core()) }
}

/// The number of threads that BLAS uses for one call, a setting of the whole process.
package enum BLASThreads {
    private static let state = Mutex((users: 0, threads: 1))

    /// Limits BLAS to the available processors: it knows the affinity, but no quota.
    package static func limit() {
        state.withLock { state in
            guard state.users == 0 else { return }
            let threads = Int(mv_blas_threads(1))
            _ = mv_blas_threads(Int32(min(threads, AvailableProcessors.count)))
        }
    }

    /// Runs a closure with single-threaded BLAS, for code that calls it from several threads: threads that BLAS starts
    /// for each call would only compete with them.
    package static func single<Result>(_ body: () throws -> Result) rethrows -> Result {
        state.withLock { state in
            if state.users == 0 { state.threads = Int(mv_blas_threads(1)) }
            state.users += 1
        }
        defer {
            state.withLock { state in
                state.users -= 1
                if state.users == 0 { _ = mv_blas_threads(Int32(state.threads)) }
            }
        }
        return try body()
    }
}
