package import Glibc

/// What the system says of a file that changes whenever its bytes do: writing sets the times, a new file has another number. No
/// program can set the time of the last change to what it likes, so a copy never has the identity of its original.
package struct FileIdentity: Sendable, Equatable, CustomStringConvertible {
    /// Bytes of the file.
    package let size: Int
    /// The file's number in its file system.
    package let number: UInt64
    /// When its bytes were written, in nanoseconds since 1970.
    package let modified: Int
    /// When it or what the system knows of it last changed, in nanoseconds since 1970.
    package let changed: Int
    /// Whose file it is.
    package let owner: UInt32
    /// The device that its file system is on; another one after the next start of the machine, perhaps.
    package let device: UInt64

    /// From what the system says of an open file.
    package init(_ status: stat) {
        size = Int(status.st_size)
        number = UInt64(status.st_ino)
        modified = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
        changed = status.st_ctim.tv_sec * 1_000_000_000 + status.st_ctim.tv_nsec
        owner = status.st_uid
        device = UInt64(status.st_dev)
    }

    /// Of the file that a path leads to now; nil when there is none.
    package init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// All of it but owner and device, in one line.
    package var description: String { "\(size) bytes, \(number), \(modified), \(changed)" }

    /// Whether a path still leads to this file, and the file has been as it is for so many nanoseconds: times of files have steps, within
    /// which a second change would not show.
    package func isStill(at path: String, for nanoseconds: Int) -> Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let age = now.tv_sec * 1_000_000_000 + now.tv_nsec - max(changed, modified)
        return FileIdentity(path: path) == self && age >= nanoseconds
    }
}
