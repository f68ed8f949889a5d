import Glibc

/// A lock of a whole file, held by whoever has opened it.
package enum FileLock {
    /// Locks an open file without waiting.
    ///
    /// - Returns: nil, or the error number that says what stands in the way: `EWOULDBLOCK` if another has the lock.
    package static func take(_ descriptor: Int32) -> Int32? { flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? nil : errno }

    /// Gives the lock up, if it was taken, and closes the file. Closing alone would leave it locked while a process that another thread is
    /// starting still has its copy of the descriptor.
    package static func close(_ descriptor: Int32) {
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }
}
