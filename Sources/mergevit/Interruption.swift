import Glibc
import Labelling

/// Ends the command on SIGINT and SIGTERM, after taking away an unfinished output file.
///
/// A thread waits for the signals, so nothing has to be done inside a signal handler. The signals are held back before
/// any other thread is started, so that no thread gets them. A signal that the caller wants ignored stays so.
struct Interruption {
    private let signals: sigset_t

    /// Holds the signals back until `watch`.
    init() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] {
            var action = sigaction()
            sigaction(number, nil, &action)
            let isIgnored = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
            if !isIgnored { sigaddset(&signals, number) }
        }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        self.signals = signals
    }

    /// From now on a signal ends the command with 128 + its number, after `cleanup`.
    func watch(_ cleanup: @escaping @Sendable () -> Void) {
        let waiting = signals
        _ = WorkerThread.start(detached: true) {
            var signals = waiting
            var number: Int32 = 0
            guard sigwait(&signals, &number) == 0 else { return }
            cleanup()
            _exit(128 + number)
        }
    }

    /// Makes a write to a pipe without a reader an error instead of a signal.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
