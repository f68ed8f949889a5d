import Glibc

/// Opens a file or folder for reading. While the process or the system has no descriptors left it waits: that is no fault of the
/// file, and others are about to be closed.
///
/// - Parameter activity: told while it waits.
/// - Throws: why it cannot be opened; that there are no descriptors only after half a minute.
package func openPatiently(
    _ path: BytePath, _ flags: Int32, _ activity: ReadActivity? = nil
) throws(SystemError) -> Int32 {
    var attempts = 0
    while true {
        let descriptor = path.withCString { open($0, flags | O_RDONLY | O_CLOEXEC) }
        if descriptor >= 0 { return descriptor }
        let code = errno
        switch code {
        case EINTR: continue
        case EMFILE, ENFILE:
            guard attempts < 3000 else { throw SystemError(code: code) }
            attempts += 1
            usleep(10_000)
            activity?.touch()
        default: throw SystemError(code: code)
        }
    }
}
