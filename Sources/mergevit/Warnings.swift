import Logging

/// Warnings on stderr, one a line.
struct Warnings: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        StandardStream.error.write("mergevit: \(event.level): \(event.message)\n")
    }

    /// The command's logger; a quiet one says nothing below an error.
    static func logger(quiet: Bool) -> Logger {
        var logger = Logger(label: "mergevit") { _ in Warnings() }
        logger.logLevel = quiet ? .error : .warning
        return logger
    }
}
