import ArgumentParser
import Files
import Glibc
import Synchronization

/// What SIGINT and SIGTERM do: by default they end the command with 128 + their number and a line on stderr.
///
/// The handler only writes the signal's number to a pipe that a thread reads, so nothing else has to be done inside a
/// signal handler. Holding the signals back until that thread waits for them would not do: a library's threads,
/// OpenBLAS's among them, are there before this command's first line, and any of them may get the signal. A signal that
/// the caller wants ignored stays ignored.
enum Interruption {
    /// What is said of a command that leaves nothing behind.
    static let nothingWritten = "nothing was written"

    private enum Response: Sendable {
        /// Ends the command after a clean-up; false says that the output is whole and in its place.
        case end(advice: String, cleanup: @Sendable () -> Bool)
        /// Asks the command to end by itself.
        case ask(Request, advice: String, grace: UInt32?)
    }

    /// Where the handler writes the number of the signal that it was called with.
    nonisolated(unsafe) private static var noticeEnd: Int32 = -1
    /// Whether a signal has come and the output is being taken away.
    private static let isEnding = Mutex(false)
    private static let response = Mutex(Response.end(advice: nothingWritten, cleanup: { true }))

    /// Begins to answer signals; called once, before other threads are started.
    static func begin() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        var signals = sigset_t()
        sigemptyset(&signals)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        noticeEnd = ends[1]
        for number in [SIGINT, SIGTERM] where !isIgnored(number) {
            sigaddset(&signals, number)
            var action = sigaction()
            action.sa_flags = SA_RESTART
            action.__sigaction_handler.sa_handler = { number in
                let before = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = Glibc.write(Interruption.noticeEnd, &byte, 1)
                errno = before
            }
            sigaction(number, &action, nil)
        }
        // Threads that are started from here on are not disturbed.
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let (waiting, notices) = (signals, ends[0])
        _ = WorkerThread.start(detached: true) {
            var signals = waiting
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            var number: UInt8 = 0
            while true {
                let count = read(notices, &number, 1)
                if count == 1 { answer(Int32(number)) } else if count >= 0 || errno != EINTR { return }
            }
        }
    }

    /// From now on a signal ends the command after `cleanup`.
    ///
    /// - Parameters:
    ///   - advice: how to resume, or what was not written.
    ///   - cleanup: takes the unfinished output away; false says that it is whole and in its place, and then the
    ///     command ends as if no signal had come.
    static func ends(advice: String = nothingWritten, cleanup: @escaping @Sendable () -> Bool = { true }) {
        response.withLock { $0 = .end(advice: advice, cleanup: cleanup) }
    }

    /// From now on the first signal asks the command to come to an end by itself, and a second one ends it at once.
    ///
    /// - Parameters:
    ///   - request: receives the number of the first.
    ///   - advice: how to resume, or what was not written, if the command is ended.
    ///   - grace: seconds after which the first ends the command, too, if it is held up; nil for no such limit.
    static func asks(_ request: Request, advice: String, grace: UInt32? = nil) {
        response.withLock { $0 = .ask(request, advice: advice, grace: grace) }
    }

    /// Says that a signal has stopped the command, and gives the error that ends it with the signal's exit code.
    ///
    /// - Parameters:
    ///   - place: how far the command came, such as "after step 3 of 12"; empty if that is nowhere.
    ///   - advice: how to resume, or what was not written.
    static func stopped(by request: Request, _ place: String = "", advice: String) -> ExitCode {
        let number = request.number ?? SIGINT
        StandardStream.error.write(line(number, place, advice) + "\n")
        return ExitCode(128 + number)
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

    private static func answer(_ number: Int32) {
        switch response.withLock(\.self) {
        case .end(let advice, let cleanup):
            isEnding.withLock { $0 = true }
            if cleanup() { end(number, advice) }
            isEnding.withLock { $0 = false }
        case .ask(let request, let advice, let grace):
            guard request.set(number) else { end(number, advice) }
            _ = WorkerThread.start(detached: true) {
                // What takes longer than a moment is said.
                sleep(2)
                StatusOutput.standardError.writeLast(
                    "mergevit: \(name(number)): finishing the step under way; a second signal stops at once")
                guard let grace else { return }
                sleep(grace)
                end(number, advice)
            }
        }
    }

    private static func end(_ number: Int32, _ advice: String) -> Never {
        StatusOutput.standardError.writeLast(line(number, "", advice))
        _exit(128 + number)
    }

    private static func line(_ number: Int32, _ place: String, _ advice: String) -> String {
        "mergevit: stopped by \(name(number))\(place.isEmpty ? "" : " \(place)"); \(advice)"
    }

    private static func name(_ number: Int32) -> String { number == SIGTERM ? "SIGTERM" : "SIGINT" }

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
