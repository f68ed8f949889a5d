import Glibc
import Labelling
import Synchronization

/// Where the handler writes the number of the signal that it was called with.
nonisolated(unsafe) private var noticeEnd: Int32 = -1

/// Whether a signal has come and the output is being taken away.
private let isEnding = Mutex(false)

/// Ends the command on SIGINT and SIGTERM, after taking away an unfinished output file.
///
/// The handler only writes the signal's number to a pipe that a thread reads, so nothing else has to be done inside a signal
/// handler. Holding the signals back until that thread waits for them would not do: a library's threads, OpenBLAS's among
/// them, are there before this command's first line, and any of them may get the signal. A signal that the caller wants
/// ignored stays so.
struct Interruption {
    private let signals: sigset_t
    private let notices: Int32

    /// From now on the signals wait for `watch`.
    init() {
        var ends: [Int32] = [-1, -1]
        var signals = sigset_t()
        sigemptyset(&signals)
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            noticeEnd = ends[1]
            for number in [SIGINT, SIGTERM] where !Self.isIgnored(number) {
                sigaddset(&signals, number)
                var action = sigaction()
                action.sa_flags = SA_RESTART
                action.__sigaction_handler.sa_handler = { number in
                    let before = errno
                    var byte = UInt8(truncatingIfNeeded: number)
                    _ = Glibc.write(noticeEnd, &byte, 1)
                    errno = before
                }
                sigaction(number, &action, nil)
            }
        }
        // Threads that are started from here on are not disturbed.
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        self.signals = signals
        notices = ends[0]
    }

    /// From now on a signal ends the command with 128 + its number, after `cleanup`.
    ///
    /// - Parameter cleanup: takes the unfinished output away; false says that it is whole and in its place, and then the
    ///   command ends as if no signal had come.
    func watch(_ cleanup: @escaping @Sendable () -> Bool) {
        receive { number in
            isEnding.withLock { $0 = true }
            if cleanup() { _exit(128 + number) }
            isEnding.withLock { $0 = false }
        }
    }

    /// From now on the first signal asks the command to come to an end by itself, and a second one ends it at once.
    ///
    /// - Parameters:
    ///   - request: receives the number of the first.
    ///   - grace: seconds after which the first ends the command, too, if it is held up; nil for no such limit.
    func request(_ request: Request, grace: UInt32? = nil) {
        receive { number in
            guard request.set(number) else { _exit(128 + number) }
            guard let grace else { return }
            _ = WorkerThread.start(detached: true) {
                sleep(grace)
                _exit(128 + number)
            }
        }
    }

    /// Whether a signal has asked the command to end.
    final class Request: Sendable {
        private let state = Mutex<Int32?>(nil)

        /// The signal's number, once it has come.
        var number: Int32? { state.withLock(\.self) }

        /// Notes a signal; false if one has come before.
        fileprivate func set(_ number: Int32) -> Bool {
            state.withLock { state in
                defer { state = state ?? number }
                return state == nil
            }
        }
    }

    /// Calls `body` for every signal, on a thread of its own.
    private func receive(_ body: @escaping @Sendable (Int32) -> Void) {
        guard notices >= 0 else { return }
        let (waiting, notices) = (signals, notices)
        _ = WorkerThread.start(detached: true) {
            var signals = waiting
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            var number: UInt8 = 0
            while true {
                let count = read(notices, &number, 1)
                if count == 1 { body(Int32(number)) } else if count >= 0 || errno != EINTR { return }
            }
        }
    }

    /// Waits for the end if a signal has come: an error is then most likely that the output was taken away.
    static func awaitEnd() {
        while isEnding.withLock({ $0 }) { usleep(1000) }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    /// Makes a write to a pipe without a reader an error instead of a signal.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
