package import Files
import Glibc
import Synchronization

/// A file beside a file of rows, with an entry of fixed size for each input in the order of the rows, between a header
/// and a trailer. It is resumed with the rows.
///
/// The entries are in a partial file. When all rows are written, `seal(rows:)` writes the header and the trailer, and
/// `rename()` gives the file its name.
package final class EntryFile: Sendable {
    /// What the header and the trailer are made of.
    package struct Sum: Sendable {
        /// The number of entries.
        package let entries: Int
        /// The SHA-256 of the entries.
        package let digest: String
        /// The SHA-256 of the file of rows.
        package let rows: String
    }

    /// Gives a header of exactly the planned length, and a trailer.
    package typealias Ends = @Sendable (Sum) -> (header: [UInt8], trailer: [UInt8])

    /// The journal's name for the entries.
    let key: String
    private let path: BytePath
    private let partial: BytePath
    private let headerBytes: Int
    private let entryBytes: Int
    private let ends: Ends
    private let descriptor: Int32
    private let state = Mutex((entries: 0, digest: SHA256()))

    /// Opens and locks the partial file.
    ///
    /// - Parameters:
    ///   - key: the journal's name for the entries.
    ///   - path: where the file goes.
    ///   - partial: where the entries are meanwhile.
    ///   - headerBytes: the length of the header.
    ///   - entryBytes: the length of an entry.
    ///   - ends: called once, when all entries are written.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created, or another run is writing it.
    package init(
        _ key: String, path: BytePath, partial: BytePath, headerBytes: Int, entryBytes: Int, ends: @escaping Ends
    ) throws(OutputError) {
        (self.key, self.path, self.partial) = (key, path, partial)
        (self.headerBytes, self.entryBytes, self.ends) = (headerBytes, entryBytes, ends)
        descriptor = try ResumableFile.lock(partial, name: path)
    }

    deinit {
        if case .success(let status) = FileStatus.of(descriptor: descriptor), status.size == 0 { remove() }
        FileLock.close(descriptor)
    }

    /// The SHA-256 of the entries so far.
    var digest: SHA256 { state.withLock(\.digest) }

    /// Whether the file begins with this number of entries of this digest. Called with growing numbers, before `begin`.
    ///
    /// - Throws: `OutputError.cannotWrite` when it cannot be read.
    func hasEntries(_ count: Int, digest expected: String) throws(OutputError) -> Bool {
        var (entries, digest) = state.withLock { ($0.entries, $0.digest) }
        guard count >= entries, count <= (Int.max - headerBytes) / entryBytes else { return false }
        let range = (headerBytes + entries * entryBytes)..<(headerBytes + count * entryBytes)
        guard try FileWriting.add(range, of: descriptor, to: &digest, name: path), digest.text == expected else {
            return false
        }
        entries = count
        state.withLock { $0 = (entries, digest) }
        return true
    }

    /// Drops what follows some entries that were found to be intact.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func begin(keeping count: Int) throws(OutputError) {
        let length = headerBytes + count * entryBytes
        if state.withLock(\.entries) != count {
            var digest = SHA256()
            guard try FileWriting.add(headerBytes..<length, of: descriptor, to: &digest, name: path) else {
                throw failure(EIO)
            }
            state.withLock { [digest] in $0 = (count, digest) }
        }
        let end = off_t(length)
        guard ftruncate(descriptor, end) == 0, lseek(descriptor, end, SEEK_SET) == end else { throw failure(errno) }
    }

    /// Appends entries.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func append(_ bytes: [UInt8]) throws(OutputError) {
        try bytes.withUnsafeBufferPointer { buffer throws(OutputError) in
            let bytes = UnsafeRawBufferPointer(buffer)
            try FileWriting.writeAll(bytes, to: descriptor, name: path)
            state.withLock { state in
                state.entries += bytes.count / entryBytes
                state.digest.add(bytes)
            }
        }
    }

    /// Forces the entries to reach the disk.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func synchronize() throws(OutputError) { guard fdatasync(descriptor) == 0 else { throw failure(errno) } }

    /// Writes the header and the trailer.
    ///
    /// - Parameter rows: the SHA-256 of the file of rows.
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func seal(rows: String, syncs: Bool) throws(OutputError) {
        let (entries, digest) = state.withLock { ($0.entries, $0.digest.text) }
        let (header, trailer) = ends(Sum(entries: entries, digest: digest, rows: rows))
        guard header.count == headerBytes else { throw failure(EINVAL) }
        let written = header.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard written == header.count else { throw failure(written < 0 ? errno : EIO) }
        try trailer.withUnsafeBufferPointer { bytes throws(OutputError) in
            try FileWriting.writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, name: path)
        }
        guard !syncs || fsync(descriptor) == 0 else { throw failure(errno) }
    }

    /// Marks the sealed file as written by mergevit, so that a later run may replace it.
    ///
    /// - Throws: `OutputError.cannotWrite` when it cannot be read.
    func mark() throws(OutputError) {
        guard case .success(let status) = FileStatus.of(descriptor: descriptor) else { throw failure(errno) }
        var digest = SHA256()
        _ = try FileWriting.add(0..<status.size, of: descriptor, to: &digest, name: path)
        WrittenMark.set(digest.text, on: descriptor)
    }

    /// Gives the sealed file its name.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    func rename() throws(OutputError) {
        if let code = FileWriting.rename(partial, to: path, syncs: false) { throw failure(code) }
    }

    /// Removes the partial file.
    func remove() { _ = partial.withCString { unlink($0) } }

    private func failure(_ code: Int32) -> OutputError { .cannotWrite(path: path, reason: systemReason(code)) }
}

/// The files beside a file of rows that have an entry for each input.
package struct RowCompanions: Sendable {
    /// What the inputs were, for `label --reuse`.
    package var files: EntryFile?
    /// The vectors that heads read.
    package var features: FeatureFile?

    /// No files.
    package init() {}

    /// The record of the files of a run, for `ReusableRows`, and features if they are wanted.
    ///
    /// - Parameters:
    ///   - rows: the file of rows.
    ///   - settings: everything that the rows depend on except the inputs.
    ///   - headerBytes: the number of bytes before the first row.
    /// - Throws: `OutputError.cannotWrite` when a file cannot be created.
    package init(
        beside rows: ResumableFile, settings: JSONObject, headerBytes: Int, features: FeatureFile?
    ) throws {
        files = try ReuseRecord.file(beside: rows.place, settings: settings, headerBytes: headerBytes)
        self.features = features
    }

    /// The journal's names for their entries.
    static let keys = [ReuseRecord.entriesName, FeatureFile.entriesName]

    /// All of them.
    var all: [EntryFile] { [files, features?.file].compactMap(\.self) }
}

extension FileWriting {
    /// Adds a range of an open file to a digest; returns false when the file ends within it.
    ///
    /// - Throws: `OutputError.cannotWrite` naming `name` when it cannot be read.
    static func add(
        _ range: Range<Int>, of descriptor: Int32, to digest: inout SHA256, name: BytePath
    ) throws(OutputError) -> Bool {
        var block = [UInt8](repeating: 0, count: min(range.count, 1 << 20))
        var position = range.lowerBound
        while position < range.upperBound {
            let size = min(block.count, range.upperBound - position)
            let count = block.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, size, off_t(position)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
            if count == 0 { return false }
            block.withUnsafeBytes { digest.add(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            position += count
        }
        return true
    }
}
