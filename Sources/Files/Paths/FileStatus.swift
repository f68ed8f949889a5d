package import Glibc

/// What the system says of a file.
///
/// Equal statuses mean equal bytes: writing sets the times, a new file has another inode, and no program can set the
/// time of the last change to a value of its choice, so a copy never has the status of its original.
package struct FileStatus: Sendable, Equatable, CustomStringConvertible {
    /// Bytes of the file.
    package let size: Int
    /// The file's number in its file system.
    package let inode: UInt64
    /// The device that its file system is on; it may change when the machine starts again.
    package let device: UInt64
    /// When its bytes were written, in nanoseconds since 1970.
    package let modified: Int
    /// When its bytes, owner, links or permissions last changed, in nanoseconds since 1970.
    package let changed: Int
    /// The user who owns it.
    package let owner: UInt32
    /// Its type and permissions, as `st_mode`.
    package let mode: UInt32

    /// The status from what a system call filled in.
    package init(_ status: stat) {
        size = Int(status.st_size)
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
        modified = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
        changed = status.st_ctim.tv_sec * 1_000_000_000 + status.st_ctim.tv_nsec
        owner = status.st_uid
        mode = UInt32(status.st_mode)
    }

    /// The status of what a path leads to; nil when there is nothing, or it cannot be told.
    package init?(path: String) {
        guard case .success(let status) = FileStatus.of(BytePath(path)) else { return nil }
        self = status
    }

    /// The status of what a path leads to, or the error number.
    package static func of(_ path: BytePath) -> Result<FileStatus, SystemError> {
        var status = stat()
        let code = path.withCString { stat($0, &status) == 0 ? 0 : errno }
        return code == 0 ? .success(FileStatus(status)) : .failure(SystemError(code: code))
    }

    /// The status of an open file, or the error number.
    package static func of(descriptor: Int32) -> Result<FileStatus, SystemError> {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? .success(FileStatus(status)) : .failure(SystemError(code: errno))
    }

    /// Whether it is a folder.
    package var isFolder: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
    /// Whether it is a regular file.
    package var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }

    /// Whether both are one file, whatever its names.
    package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }

    /// Whether a path still leads to this file, unchanged for some time: the times of files have steps, within which a
    /// second change would not show.
    ///
    /// - Parameter nanoseconds: how long ago its last change must be.
    package func isStill(at path: String, for nanoseconds: Int) -> Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let age = now.tv_sec * 1_000_000_000 + now.tv_nsec - max(changed, modified)
        return FileStatus(path: path) == self && age >= nanoseconds
    }

    /// Size, inode and times in one line, as digests that are cached on disk are bound to them.
    package var description: String { "\(size) bytes, \(inode), \(modified), \(changed)" }
}
