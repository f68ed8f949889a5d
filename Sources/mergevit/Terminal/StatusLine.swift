import Logging

/// Standard error as a command shows its progress on it: a status line, and lines that stay.
struct StatusLine {
    private let log: Logger?
    private let isQuiet: Bool
    private let output = StatusOutput.standardError
    private let start: Double

    /// Nothing but warnings is written when it is quiet.
    ///
    /// - Parameter log: where warnings go.
    init(_ log: Logger? = nil, isQuiet: Bool) {
        (self.log, self.isQuiet, start) = (log, isQuiet, StatusOutput.standardError.seconds)
    }

    /// Seconds since it was made.
    var elapsed: Double { output.seconds - start }

    /// Renews the status line, unless that was done a moment ago.
    ///
    /// - Parameter isNew: it says something of another kind, and is shown at once on a terminal.
    func update(isNew: Bool = false, _ text: () -> StatusText) {
        if !isQuiet { output.show(isNew: isNew, text) }
    }

    /// Writes a line that stays.
    func say(_ text: some StringProtocol) {
        if !isQuiet { StandardStream.error.write(String(text) + "\n") }
    }

    /// Warns, on a line of its own.
    func warn(_ text: String) { log?.warning("\(text)") }

    /// Takes the status line away.
    func clear() { output.clear() }
}
