import Glibc

/// A mutex with condition variables, at an address that never moves.
package final class Monitor: @unchecked Sendable {
    /// A condition to wait for under a monitor's lock.
    package struct Condition: @unchecked Sendable {
        fileprivate let handle: UnsafeMutablePointer<pthread_cond_t>
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let conditions: [Condition]

    /// A monitor with `count` conditions.
    package init(conditions count: Int) {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        conditions = (0..<count).map { _ in
            let handle = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
            handle.initialize(to: pthread_cond_t())
            var attributes = pthread_condattr_t()
            pthread_condattr_init(&attributes)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
            pthread_cond_init(handle, &attributes)
            pthread_condattr_destroy(&attributes)
            return Condition(handle: handle)
        }
    }

    deinit {
        for condition in conditions {
            pthread_cond_destroy(condition.handle)
            condition.handle.deallocate()
        }
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// The condition of this number.
    package subscript(index: Int) -> Condition { conditions[index] }

    /// Runs `body` under the lock.
    package func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Gives the lock up until the condition is signalled; called under the lock, in a loop that tests what it is
    /// about.
    package func wait(_ condition: Condition) { pthread_cond_wait(condition.handle, mutex) }

    /// The same, for at most `seconds`.
    package func wait(_ condition: Condition, seconds: Double) {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int(seconds * 1e9)
        end.tv_sec += nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        pthread_cond_timedwait(condition.handle, mutex, &end)
    }

    /// Wakes all that wait for the condition.
    package func signal(_ condition: Condition) { pthread_cond_broadcast(condition.handle) }
}

/// A thread of the system that runs one closure.
package struct WorkerThread: @unchecked Sendable {
    private final class Work {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let handle: pthread_t

    /// Starts a thread; nil when the system has none left.
    ///
    /// - Parameters:
    ///   - detached: nobody joins the thread. One that is not detached must be joined.
    ///   - blocksSignals: no signal is delivered to the thread.
    package static func start(
        detached: Bool = false, blocksSignals: Bool = false, _ body: @escaping @Sendable () -> Void
    ) -> WorkerThread? {
        var handle = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        var (all, earlier) = (sigset_t(), sigset_t())
        sigfillset(&all)
        // A new thread has the mask of the one that starts it.
        if blocksSignals { pthread_sigmask(SIG_SETMASK, &all, &earlier) }
        let code = pthread_create(
            &handle, nil,
            { context in
                if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        if blocksSignals { pthread_sigmask(SIG_SETMASK, &earlier, nil) }
        guard code == 0 else {
            work.release()
            return nil
        }
        if detached { pthread_detach(handle) }
        return WorkerThread(handle: handle)
    }

    /// Waits for the thread's end.
    package func join() { pthread_join(handle, nil) }
}
