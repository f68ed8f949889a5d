import Glibc
import Synchronization

/// Reads whole files into one buffer that is used again for every file; each decode worker has its own.
package struct FileReader: ~Copyable {
    /// Why a file cannot be read, in words for its row.
    package struct Failure: Error, CustomStringConvertible {
        /// What sort of problem it is.
        package enum Kind: Sendable {
            case missing, unreadable, empty, tooLarge
        }

        /// The reason, without the file's name.
        package let description: String
        /// What sort of problem it is.
        package let kind: Kind

        /// A failure to read.
        package init(description: String, kind: Kind = .unreadable) {
            (self.description, self.kind) = (description, kind)
        }
    }

    /// A buffer that grew beyond this for one file is given back after it.
    private static let keptCapacity = 16 << 20

    /// What the system said of the last file when it was opened; nil if it was not opened.
    package private(set) var status: FileStatus?

    private let limit: Int
    private var base: UnsafeMutableRawPointer?
    private var capacity = 0

    /// A reader that refuses files of more than `limit` bytes.
    package init(limit: Int) { self.limit = limit }

    deinit { free(base) }

    /// Calls `body` with the content of a regular file. Anything else is refused without opening it.
    ///
    /// - Parameter activity: told whenever something has come, until all has.
    package mutating func read(
        _ path: BytePath, watchedBy activity: ReadActivity? = nil, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        activity?.touch()
        status = nil
        let count: Int
        do {
            defer { activity?.end() }
            count = try fill(path, activity)
        }
        try use(count, body)
    }

    /// Calls `body` with bytes that come from elsewhere, such as a member of an archive.
    ///
    /// - Parameters:
    ///   - count: how many bytes there are.
    ///   - fill: writes them into the buffer; what it throws is thrown.
    package mutating func read(
        count: Int, watchedBy activity: ReadActivity? = nil, fill: (UnsafeMutableRawBufferPointer) throws -> Void,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        activity?.touch()
        do {
            defer { activity?.end() }
            guard count <= limit else { throw tooLarge }
            guard count > 0 else { throw empty }
            try reserve(count)
            try fill(UnsafeMutableRawBufferPointer(start: base, count: count))
        }
        try use(count, body)
    }

    private mutating func use(_ count: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try body(UnsafeRawBufferPointer(start: base, count: count))
        if capacity > FileReader.keptCapacity {
            free(base)
            base = nil
            capacity = 0
        }
    }

    /// Reads a file into the buffer; the number of its bytes.
    private mutating func fill(_ path: BytePath, _ activity: ReadActivity?) throws -> Int {
        let descriptor = try FileReader.open(path, activity)
        defer { close(descriptor) }
        // It may be another file by now than the one that was looked at before it was opened.
        let status = try FileStatus.of(descriptor: descriptor).get()
        self.status = status
        guard status.isRegular else { throw Failure(description: "not a regular file") }
        guard status.size <= limit else { throw tooLarge }
        try reserve(min(status.size, limit) + 1)
        var count = 0
        while true {
            if count == capacity { try reserve(min(capacity * 2, limit + 1)) }
            guard let base else { break }
            let got = Glibc.read(descriptor, base + count, capacity - count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw SystemError(code: errno) }
            if got == 0 { break }
            activity?.touch()
            count += got
            guard count <= limit else { throw tooLarge }
        }
        guard count > 0 else { throw empty }
        return count
    }

    private var empty: Failure { Failure(description: "the file is empty", kind: .empty) }

    private var tooLarge: Failure { Failure(description: "the file is larger than \(limit) bytes", kind: .tooLarge) }

    private mutating func reserve(_ wanted: Int) throws {
        guard wanted > capacity else { return }
        guard let grown = realloc(base, wanted) else { throw SystemError(code: ENOMEM) }
        base = grown
        capacity = wanted
    }

    /// Opens a regular file; anything else is refused without opening it.
    package static func open(_ path: BytePath, _ activity: ReadActivity? = nil) throws -> Int32 {
        switch FileStatus.of(path) {
        case .failure(let error):
            var link = stat()
            if error.code == ENOENT, path.withCString({ lstat($0, &link) }) == 0 {
                throw Failure(description: "a symbolic link that leads nowhere", kind: .missing)
            }
            throw error
        case .success(let status):
            guard status.isRegular else { throw Failure(description: "not a regular file") }
        }
        return try openPatiently(path, O_NONBLOCK | O_NOCTTY, activity)
    }
}

/// When a read that is under way last gave something; told by the thread that reads, asked by another.
package final class ReadActivity: Sendable {
    /// Nanoseconds of the monotonic clock; 0 when nothing is being read.
    private let last = Atomic<UInt64>(0)

    /// Nothing is being read yet.
    package init() {}

    /// Reading begins or has got on.
    package func touch() { last.store(ReadActivity.now, ordering: .relaxed) }

    /// Reading has come to its end.
    package func end() { last.store(0, ordering: .relaxed) }

    /// For how many seconds nothing has come; 0 when nothing is being read.
    package var silence: Double {
        let last = last.load(ordering: .relaxed)
        return last == 0 ? 0 : Double(Int64(bitPattern: ReadActivity.now &- last)) * 1e-9
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Opens a file or folder for reading. Waits while the process or the system has no descriptors left: the
/// file is not at fault, and others are about to be closed.
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
