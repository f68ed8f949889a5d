import Labelling
import Logging

/// Standard error as commands show their progress on it: a line of the terminal that is written over, and lines that stay.
struct StatusLine {
    /// Seconds between two updates of the line that is written over.
    private static let interval = 0.1

    private let log: Logger?
    private let isQuiet: Bool
    private let isUpdated: Bool
    private let start = ContinuousClock.now
    private var shown = -Double.infinity
    private var isThere = false

    /// Nothing but warnings is written when it is quiet, and nothing is written over where there is no terminal, unless told
    /// otherwise.
    ///
    /// - Parameter log: where warnings go.
    init(_ log: Logger? = nil, isQuiet: Bool, isUpdated: Bool? = nil) {
        (self.log, self.isQuiet) = (log, isQuiet)
        self.isUpdated = isUpdated ?? (!isQuiet && StandardStream.error.isTerminal)
    }

    /// Seconds since it was made.
    var elapsed: Double {
        let parts = start.duration(to: .now).components
        return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
    }

    /// Writes over the line, unless that was done a moment ago.
    ///
    /// - Parameter isLast: it is to be seen however short the moment is.
    mutating func update(_ text: @autoclosure () -> String, isLast: Bool = false) {
        guard isUpdated else { return }
        let seconds = elapsed
        guard isLast || seconds - shown >= Self.interval else { return }
        shown = seconds
        isThere = true
        StandardStream.error.write("\r\(text())\u{1B}[K")
    }

    /// Writes a line that stays.
    mutating func say(_ text: some StringProtocol) {
        guard !isQuiet else { return }
        clear()
        StandardStream.error.write(String(text) + "\n")
    }

    /// Warns, on a line of its own.
    mutating func warn(_ text: String) {
        clear()
        log?.warning("\(text)")
    }

    /// Takes away the line that is written over.
    mutating func clear() {
        if isThere { StandardStream.error.write("\r\u{1B}[K") }
        isThere = false
    }
}
