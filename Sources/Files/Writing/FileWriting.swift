import Glibc

/// What every output is made of: writing all bytes, renaming into place, flushing, locking.
package enum FileWriting {
    /// Writes all bytes to a descriptor, and waits where it takes no more for the moment.
    ///
    /// - Returns: nil, or the error number; `EPIPE` when a pipe has no reader left.
    package static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
        var rest = bytes
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if written >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&request, 1, -1)
            case let code: return code
            }
        }
        return nil
    }

    /// Gives a file that was written beside its place its name, in one step; what had the name before is gone.
    ///
    /// - Parameter syncs: whether the new name is flushed to the disk, too.
    /// - Returns: nil, or the error number.
    package static func rename(_ partial: BytePath, to target: BytePath, syncs: Bool) -> Int32? {
        let code = partial.withCString { from in target.withCString { to in Glibc.rename(from, to) == 0 ? nil : errno }
        }
        if code == nil, syncs { synchronize(folder: target.parent) }
        return code
    }

    /// Flushes a folder's entries to the disk, so that renames and removals in it outlive a loss of power. Best effort,
    /// as not every file system can.
    package static func synchronize(folder path: BytePath) {
        let folder = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }
}

/// A lock of a whole file, held by whoever has opened it.
package enum FileLock {
    /// Locks an open file without waiting.
    ///
    /// - Returns: nil, or the error number: `EWOULDBLOCK` if another process has the lock.
    package static func take(_ descriptor: Int32) -> Int32? { flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? nil : errno }

    /// Gives the lock up, if it was taken, and closes the file. Closing alone would leave it locked while a process
    /// that another thread is starting still has its copy of the descriptor.
    package static func close(_ descriptor: Int32) {
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }
}
