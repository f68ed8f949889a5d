import Glibc

/// stdout and stderr as text streams without buffers.
enum StandardStream: Int32 {
    case output = 1
    case error = 2

    /// Writes text; what stands for an argument's raw bytes is written as those bytes. Nobody is told if it fails.
    func write(_ text: String) {
        let bytes = RawArguments.bytes(of: text)
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            while rest.count > 0 {
                let count = Glibc.write(rawValue, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Whether a person is looking.
    var isTerminal: Bool { isatty(rawValue) == 1 }
}
