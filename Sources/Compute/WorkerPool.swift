internal import COneDNN
import Glibc

/// A fixed team of threads that work through numbered items together; the caller is one of them.
///
/// Items are handed out one at a time, so a result must depend on the item alone, never on the worker.
/// Only one thread at a time may call `forEach`.
public final class WorkerPool: @unchecked Sendable {
    /// How many threads work, the caller included.
    public let workers: Int

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var threads: [pthread_t] = []
    private var body: ((_ worker: Int, _ item: Int) -> Void)?
    private var next = 0
    private var count = 0
    private var running = 0
    private var round = 0
    private var stopping = false

    /// Starts `workers - 1` threads.
    ///
    /// - Throws: `ComputeError` when the system gives no more threads.
    public init(workers: Int) throws(ComputeError) {
        self.workers = max(workers, 1)
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
        for worker in 1..<self.workers {
            var thread = pthread_t()
            let start = Unmanaged.passRetained(WorkerStart(pool: self, worker: worker))
            let status = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<WorkerStart>.fromOpaque(argument).takeRetainedValue()
                    WorkerPool.serve(start)
                    return nil
                }, start.toOpaque())
            guard status == 0 else {
                start.release()
                throw ComputeError(operation: "start \(workers) threads", reason: String(cString: strerror(status)))
            }
            threads.append(thread)
        }
    }

    deinit {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
        for thread in threads { pthread_join(thread, nil) }
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Calls `body` once for every item in `0..<count`, on all workers, and returns when all are done.
    public func forEach(_ count: Int, _ body: (_ worker: Int, _ item: Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            pthread_mutex_lock(mutex)
            self.body = body
            (self.count, next, running) = (count, 0, workers - 1)
            round += 1
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
            work(as: 0, body)
            pthread_mutex_lock(mutex)
            while running > 0 { pthread_cond_wait(changed, mutex) }
            self.body = nil
            pthread_mutex_unlock(mutex)
        }
    }

    /// The results of `body` for every item in `0..<count`, computed on all workers.
    ///
    /// - Throws: the error of the first item that has one.
    public func map<Value>(_ count: Int, _ body: (_ item: Int) throws -> Value) throws -> [Value] {
        let results = UnsafeMutableBufferPointer<Result<Value, any Error>?>.allocate(capacity: count)
        results.initialize(repeating: nil)
        defer {
            results.deinitialize()
            results.deallocate()
        }
        forEach(count) { _, item in results[item] = Result { try body(item) } }
        return try results.compactMap { try $0?.get() }
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

    /// What a new thread needs to know. The pool outlives its threads: `deinit` joins them.
    private final class WorkerStart {
        unowned(unsafe) let pool: WorkerPool
        let worker: Int

        init(pool: WorkerPool, worker: Int) {
            self.pool = pool
            self.worker = worker
        }
    }

    private static func serve(_ start: WorkerStart) {
        mv_single_thread()
        let pool = start.pool
        var seen = 0
        pthread_mutex_lock(pool.mutex)
        while true {
            while !pool.stopping, pool.round == seen { pthread_cond_wait(pool.changed, pool.mutex) }
            if pool.stopping { break }
            seen = pool.round
            let body = pool.body
            pthread_mutex_unlock(pool.mutex)
            if let body { pool.work(as: start.worker, body) }
            pthread_mutex_lock(pool.mutex)
            pool.running -= 1
            pthread_cond_broadcast(pool.changed)
        }
        pthread_mutex_unlock(pool.mutex)
    }
}
