import CSpawn
package import Foundation
import Glibc

/// A command that could not be started, or did not end.
package struct CannotRun: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// What a finished process left.
package struct Finished {
    package let standardOutput: [UInt8]
    package let standardError: [UInt8]
    /// As the process gave it; the negative number of the signal that ended it.
    package let exitCode: Int32

    /// stdout as text.
    package var output: String { String(decoding: standardOutput, as: UTF8.self) }
    /// stderr as text.
    package var errors: String { String(decoding: standardError, as: UTF8.self) }
}

/// A process that a test started, with pipes to its three streams.
///
/// It inherits no other descriptor and no ignored signal, whatever the other tests have open and however they were
/// started. Waiting for it needs no thread, run loop or queue beside the caller's, so that many tests at once cannot
/// hold each other up, and it has an end: a process that hangs is killed, and said to have hung. Not to be shared
/// between threads.
package final class ChildProcess {
    package let identifier: Int32

    /// How many seconds a process may take; those that tests start take less than a minute, or five under sanitizers.
    private static let timeout = 900.0

    private let name: String
    /// Ours are closed, and then -1, when there is no more to write or to read.
    private var input: Int32
    private var outputs: [Int32]
    private var unwritten: ArraySlice<UInt8>
    private var collected: [[UInt8]] = [[], []]
    private var status: Int32?

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: the path of its file.
    ///   - arguments: what follows its name, as bytes: they need not be UTF-8.
    ///   - input: what it reads from stdin.
    ///   - keepsInputOpen: whether its stdin has no end.
    ///   - folder: the folder it runs in.
    ///   - environment: variables that it gets beside those of the tests.
    ///   - columns: if given, its stderr is a terminal of that width instead of a pipe.
    package init(
        _ program: String, _ arguments: [[UInt8]], input: [UInt8] = [], keepsInputOpen: Bool = false,
        folder: URL? = nil, environment: [String: String] = [:], columns: Int? = nil
    ) throws {
        // A process that does not read its stdin must not end the tests.
        signal(SIGPIPE, SIG_IGN)
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
        let words = Self.vector([Array(program.utf8)] + arguments)
        let settings = Self.vector(variables.map { Array($0.utf8) })
        defer { for text in words + settings { free(text) } }
        var (identifier, ends) = (pid_t(), [Int32](repeating: -1, count: 3))
        let code = mv_spawn(program, words, settings, folder?.path, UInt32(columns ?? 0), &identifier, &ends)
        guard code == 0 else { throw CannotRun(description: "\(program): \(String(cString: strerror(code)))") }
        self.identifier = identifier
        name = ([program] + arguments.map { String(decoding: $0, as: UTF8.self) }).joined(separator: " ")
        (self.input, outputs, unwritten) = (ends[0], [ends[1], ends[2]], input[...])
        if unwritten.isEmpty, !keepsInputOpen { closeInput() }
    }

    deinit {
        if status == nil {
            kill(identifier, SIGKILL)
            waitpid(identifier, nil, 0)
        }
        for descriptor in [input] + outputs where descriptor >= 0 { close(descriptor) }
    }

    /// Whether it has not ended; what it has written by then is taken from its pipes.
    package var isRunning: Bool {
        exchange(milliseconds: 0)
        if status == nil {
            var found: Int32 = 0
            if waitpid(identifier, &found, WNOHANG) == identifier { status = found }
        }
        return status == nil
    }

    /// What it has written to stderr by now, as text.
    package var errorsSoFar: String {
        exchange(milliseconds: 0)
        return String(decoding: collected[1], as: UTF8.self)
    }

    /// Sends it a signal, unless it has ended.
    package func send(_ signal: Int32) { if status == nil { kill(identifier, signal) } }

    /// Sends it a signal as soon as something is so, unless it has ended by then, and waits for its end.
    ///
    /// - Throws: `CannotRun` if it does not come, and what the question throws.
    package func interrupted(by signal: Int32, when isDue: () throws -> Bool) throws -> Finished {
        while try !isDue(), isRunning { usleep(1000) }
        send(signal)
        return try finish()
    }

    /// Waits for the end of its streams and its own.
    ///
    /// - Throws: `CannotRun` if it does not come.
    package func finish() throws -> Finished {
        let deadline = Date(timeIntervalSinceNow: Self.timeout)
        while outputs.contains(where: { $0 >= 0 }) || isRunning {
            if Date() > deadline {
                send(SIGKILL)
                throw CannotRun(description: "did not end in \(Int(Self.timeout)) s: \(name)\n\(finished.errors)")
            }
            // With its streams closed there is nothing to wait for but the process.
            exchange(milliseconds: outputs.allSatisfy { $0 < 0 } ? 1 : 100)
        }
        return finished
    }

    private var finished: Finished {
        let status = status ?? 0
        return Finished(
            standardOutput: collected[0], standardError: collected[1],
            exitCode: status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F))
    }

    /// Writes and reads what can be at once, after waiting for so long until something can.
    private func exchange(milliseconds: Int32) {
        var polled = [pollfd(fd: unwritten.isEmpty ? -1 : input, events: Int16(POLLOUT), revents: 0)]
        polled += outputs.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return }
        if polled[0].revents != 0 {
            let count = unwritten.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if count > 0 { unwritten = unwritten.dropFirst(count) }
            if unwritten.isEmpty || count < 0 && errno != EAGAIN { closeInput() }
        }
        for (index, polled) in polled.dropFirst().enumerated() where polled.revents != 0 {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = read(outputs[index], &buffer, buffer.count)
            if count > 0 {
                collected[index] += buffer[..<count]
            } else if count == 0 || errno != EAGAIN {
                close(outputs[index])
                outputs[index] = -1
            }
        }
    }

    private func closeInput() {
        close(input)
        (input, unwritten) = (-1, [])
    }

    /// C strings with a null pointer behind them, to be freed.
    private static func vector(_ texts: [[UInt8]]) -> [UnsafeMutablePointer<CChar>?] {
        texts.map { strdup($0.map { CChar(bitPattern: $0) } + [0]) } + [nil]
    }
}

/// Runs a program and waits for its end.
package func runProgram(
    _ program: String, _ arguments: [String], folder: URL? = nil, environment: [String: String] = [:]
) throws -> Finished {
    try ChildProcess(program, arguments.map { Array($0.utf8) }, folder: folder, environment: environment).finish()
}
