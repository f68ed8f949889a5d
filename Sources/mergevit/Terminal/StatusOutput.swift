import Glibc
import Synchronization

/// What a status line says: where the work is, what else is worth knowing, and the time left.
struct StatusText: Equatable {
    /// The most important part first; the last are left out where there is no room.
    var parts: [String]
    /// Seconds until the end, if that is known.
    var left: Double?

    init(_ parts: String..., left: Double? = nil) { self.init(parts: parts, left: left) }

    init(parts: [String], left: Double? = nil) { (self.parts, self.left) = (parts, left) }

    /// All of it.
    var text: String { Self.joined(parts, left: left) }

    /// As much of it as fits into the columns: fewer details, then no time left, then the place cut short.
    func fitted(to columns: Int) -> String {
        for count in stride(from: parts.count, to: 0, by: -1) {
            let text = Self.joined(parts.prefix(count), left: left)
            if Self.columns(of: text) <= columns { return text }
        }
        return Self.cut(parts.first ?? "", to: columns)
    }

    private static func joined(_ parts: some Collection<String>, left: Double?) -> String {
        parts.joined(separator: ", ") + (left.map { ", \(clock($0)) left" } ?? "")
    }

    private static func cut(_ text: String, to columns: Int) -> String {
        var (kept, used) = ("", 0)
        for character in text {
            let width = self.columns(of: String(character))
            guard used + width <= columns else { break }
            kept.append(character)
            used += width
        }
        return kept
    }

    /// Columns that a text takes at most: what is not ASCII may be wide.
    static func columns(of text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + ($1.isASCII ? 1 : 2) }
    }
}

/// Standard error with at most one line on it that is written over.
///
/// On a terminal the line is renewed in place, never longer than the terminal is wide. Where TERM is `dumb` or not set
/// nothing can be written over, so a line is written every few seconds. Without a terminal, as in the log of a batch
/// job, it is a line a minute. All writing to stderr goes through here, so that whole lines never end up behind a
/// status line.
final class StatusOutput: Sendable {
    /// How the line is shown.
    enum Kind: Sendable { case terminal, dumbTerminal, log }

    /// Where the bytes go, and when it is.
    struct System: Sendable {
        var columns: @Sendable () -> Int
        var seconds: @Sendable () -> Double
        var write: @Sendable ([UInt8]) -> Void
    }

    private struct State {
        /// Whether the status line is on the terminal.
        var isShown = false
        /// When the status line was last written.
        var lastStatus = -Double.infinity
        /// When a line that stays was last written, or the command began.
        var lastLine: Double
    }

    /// The process's own.
    static let standardError = StatusOutput(
        kind: StandardStream.error.isTerminal ? (hasDumbTerminal ? .dumbTerminal : .terminal) : .log,
        System(
            columns: { terminalColumns() },
            seconds: {
                var time = timespec()
                clock_gettime(CLOCK_MONOTONIC, &time)
                return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
            },
            write: { StandardStream.error.writeBytes($0) }))

    private let kind: Kind
    private let system: System
    private let state: Mutex<State>

    init(kind: Kind, _ system: System) {
        (self.kind, self.system) = (kind, system)
        state = Mutex(State(lastLine: system.seconds()))
    }

    /// Seconds between two status lines.
    private var interval: Double {
        switch kind {
        case .terminal: 0.1
        case .dumbTerminal: 5
        case .log: 60
        }
    }

    /// Seconds of a clock that never goes back.
    var seconds: Double { system.seconds() }

    /// Shows a status line, unless one was shown a moment ago.
    ///
    /// - Parameter isNew: it says something of another kind, and is shown at once on a terminal.
    func show(isNew: Bool = false, _ text: () -> StatusText) {
        state.withLock { state in
            let now = system.seconds()
            switch kind {
            case .terminal:
                guard isNew || now - state.lastStatus >= interval else { return }
                // The last column stays free: some terminals wrap as soon as it is filled.
                let line = Self.printable(text().fitted(to: max(system.columns() - 1, 1)))
                system.write(Array("\r\(line)\u{1B}[K".utf8))
                state.isShown = true
            case .dumbTerminal, .log:
                guard now - max(state.lastLine, state.lastStatus) >= interval else { return }
                system.write(Array((Self.printable(text().text) + "\n").utf8))
            }
            state.lastStatus = now
        }
    }

    /// Writes whole lines, after taking the status line away.
    func write(_ bytes: [UInt8]) {
        state.withLock { state in
            let erase: [UInt8] = state.isShown ? Array("\r\u{1B}[K".utf8) : []
            state.isShown = false
            state.lastLine = system.seconds()
            system.write(erase + bytes)
        }
    }

    /// Takes the status line away.
    func clear() {
        state.withLock { state in
            if state.isShown { system.write(Array("\r\u{1B}[K".utf8)) }
            state.isShown = false
        }
    }

    /// Writes a last line from another thread, below the status line, behind which the terminal may have written ^C.
    /// What the thread that has the output does is not waited for longer than a moment.
    func writeLast(_ line: String) {
        for _ in 0..<100 {
            let isWritten: Void? = state.withLockIfAvailable { state in
                system.write(Array(((state.isShown ? "\n" : "") + line + "\n").utf8))
                state.isShown = false
            }
            if isWritten != nil { return }
            usleep(1000)
        }
    }

    /// Control characters, which names of tasks and files may have, as question masks.
    private static func printable(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar.value < 0x20 || 0x7F...0x9F ~= scalar.value ? "?" : scalar)
        }
        return String(result)
    }

    /// Columns of the terminal that stderr is; 80 if it does not say.
    private static func terminalColumns() -> Int {
        var size = winsize()
        guard ioctl(StandardStream.error.rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static var hasDumbTerminal: Bool {
        guard let name = getenv("TERM").map({ String(cString: $0) }) else { return true }
        return name.isEmpty || name == "dumb"
    }
}
