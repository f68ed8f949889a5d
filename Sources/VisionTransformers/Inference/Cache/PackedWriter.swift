import Glibc

/// A thread that writes packed weights while the model answers already. Its owner's end waits for it, but never long.
final class PackedWriter: Sendable {
    /// What the thread does, and that it has done it.
    private final class Work: @unchecked Sendable {
        let body: @Sendable () -> Void
        let done: UnsafeMutablePointer<sem_t>

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
            done = .allocate(capacity: 1)
            sem_init(done, 0, 0)
        }

        deinit {
            sem_destroy(done)
            done.deallocate()
        }
    }

    private let work: Work
    /// For how many seconds a disk that hangs may hold up the end.
    private static let patience = 10

    /// Starts the thread; nil when the system has none left.
    init?(_ body: @escaping @Sendable () -> Void) {
        work = Work(body)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(work)
        // Signals are for other threads, and one about a file that grows too large must not end the process.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                work.body()
                sem_post(work.done)
                return nil
            }, context.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            context.release()
            return nil
        }
        pthread_detach(thread)
    }

    deinit {
        var end = timespec()
        clock_gettime(CLOCK_REALTIME, &end)
        end.tv_sec += Self.patience
        while sem_timedwait(work.done, &end) != 0, errno == EINTR {}
    }
}
