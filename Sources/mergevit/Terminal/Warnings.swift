import Logging

/// Notices and warnings on stderr, one a line.
struct Warnings: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let level = event.level == .notice ? "" : "\(event.level): "
        StandardStream.error.write("mergevit: \(level)\(event.message)\n")
    }

    /// The command's logger; a quiet one says nothing below an error.
    static func logger(quiet: Bool) -> Logger {
        var logger = Logger(label: "mergevit") { _ in Warnings() }
        logger.logLevel = quiet ? .error : .notice
        return logger
    }
}
