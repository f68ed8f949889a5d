import Files
import Glibc

/// stdout and stderr as text streams without buffers.
enum StandardStream: Int32 {
    case output = 1
    case error = 2

    /// Writes text. Nobody is told if it fails.
    func write(_ text: String) { write(Array(text.utf8)) }

    /// Writes bytes, on stderr whole lines. Nobody is told if it fails.
    func write(_ bytes: [UInt8]) {
        if self == .error { return StatusOutput.standardError.write(bytes) }
        StatusOutput.standardError.clear()
        writeBytes(bytes)
    }

    /// Writes bytes as they are, whatever status line there is.
    func writeBytes(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { FileWriting.writeAll($0, to: rawValue) }
    }

    /// Puts something in the place of standard streams that the caller has closed; else the first file to be opened, an
    /// image or the output, would be taken for one. Writing to such a stdout stays an error.
    static func keepPlaces() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == StandardStream.error.rawValue ? O_WRONLY : O_RDONLY)
        }
    }

    /// Whether a person is looking.
    var isTerminal: Bool { isatty(rawValue) == 1 }
}
