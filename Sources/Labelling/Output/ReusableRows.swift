package import Datasets
package import Files
import Glibc
import Synchronization

/// The rows of a finished run, to be taken by another run for files that have not changed.
///
/// Memory: the record is mapped; beside it, 8 bytes per 256 inputs, and from 8 to 16 bytes per input if the inputs are
/// not in the same order. Rows are read in blocks.
package final class ReusableRows: @unchecked Sendable {
    /// The file of rows.
    private let path: BytePath
    private let descriptor: Int32
    private let status: FileStatus
    private let file: MappedFile
    private let record: ReuseRecord
    /// The offset of the row of every 256th input, and at last the length of the file.
    private let offsets: [Int]
    private let search = Mutex(Search())
    // Used by the thread that writes rows alone:
    private var block: [UInt8] = []
    private var blockStart = 0
    /// The number and the offset of the row after the last one that was read.
    private var following = (row: 0, offset: 0)

    private struct Search {
        /// The entry after the last one that was found: inputs mostly come in the same order again.
        var next = 0
        /// The numbers of entries, plus 1, where the hash of their paths leads; empty until it is needed.
        var table: [UInt32] = []
    }

    private static let inputsPerOffset = 256
    private static let blockBytes = 1 << 20

    /// Opens the rows of a run and the record of its files.
    ///
    /// - Parameters:
    ///   - path: the file of rows.
    ///   - settings: everything that the new run's rows depend on except the inputs.
    /// - Throws: `LabellingError.reuse` when the rows, or the record of their files, are missing or have been changed,
    ///   or were made by another model or with other options.
    package init(_ path: BytePath, settings: JSONObject) throws(LabellingError) {
        func refusal(_ reason: String) -> LabellingError { .reuse(path: path, reason: reason) }
        let opened: Result<Int32, any Error> = Result { try FileReader.open(path) }
        switch opened {
        case .success(let descriptor): self.descriptor = descriptor
        case .failure(let error): throw refusal("\(error)")
        }
        self.path = path
        do throws(LabellingError) {
            let status = try ReusableRows.status(descriptor, path)
            var digest = SHA256()
            let isWhole: Bool
            do throws(OutputError) {
                isWhole = try FileWriting.add(0..<status.size, of: descriptor, to: &digest, name: path)
            } catch { throw refusal("\(error)") }
            guard isWhole else { throw refusal("it has become shorter") }
            let (file, record) = try ReuseRecord.find(path, rows: digest.text)
            guard record.settings == settings else {
                throw refusal(
                    "they are of another model or of other options: \(settingsDifference(record.settings, settings))")
            }
            offsets = try ReusableRows.offsets(file, record, path, length: status.size)
            (self.status, self.file, self.record) = (status, file, record)
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// The number of inputs that have rows.
    package var count: Int { record.inputs }

    // MARK: Opening

    private static func status(_ descriptor: Int32, _ path: BytePath) throws(LabellingError) -> FileStatus {
        switch FileStatus.of(descriptor: descriptor) {
        case .success(let status): return status
        case .failure(let error): throw .reuse(path: path, reason: "\(error)")
        }
    }

    /// Adds up the lengths of the rows, and checks the entries.
    private static func offsets(
        _ file: MappedFile, _ record: ReuseRecord, _ path: BytePath, length: Int
    ) throws(LabellingError) -> [Int] {
        let entries = UnsafeRawBufferPointer(rebasing: file.bytes[record.entryRange])
        var digest = SHA256()
        digest.add(entries)
        var offset = record.headerBytes
        var offsets: [Int] = []
        offsets.reserveCapacity(record.inputs / inputsPerOffset + 2)
        for row in 0..<record.inputs {
            if row % inputsPerOffset == 0 { offsets.append(offset) }
            offset += Int(entry(row, entries).rowBytes)
        }
        offsets.append(offset)
        guard digest.text == record.entries, offset == length else {
            throw .reuse(path: path, reason: "\(file.path), the record of their files, is damaged")
        }
        return offsets
    }

    private static func entry(_ row: Int, _ entries: UnsafeRawBufferPointer) -> ReuseEntry {
        let start = row * ReuseEntry.byteCount
        return ReuseEntry(UnsafeRawBufferPointer(rebasing: entries[start..<(start + ReuseEntry.byteCount)]))
    }

    private var entries: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: file.bytes[record.entryRange]) }

    // MARK: Finding

    /// The number of the row of an input that has not changed; nil if there is none that can be taken. Called by
    /// several threads.
    package func find(_ identity: InputIdentity) -> Int? {
        let entries = entries
        return search.withLock { search in
            if search.next < count {
                let entry = ReusableRows.entry(search.next, entries)
                if entry.identity.path == identity.path {
                    search.next += 1
                    return entry.isReusable && entry.identity == identity ? search.next - 1 : nil
                }
            }
            if search.table.isEmpty { search.table = table(entries) }
            var place = ReusableRows.place(identity.path.0, in: search.table)
            while search.table[place] != 0 {
                let row = Int(search.table[place]) - 1
                let entry = ReusableRows.entry(row, entries)
                if entry.isReusable, entry.identity == identity {
                    search.next = row + 1
                    return row
                }
                place = (place + 1) & (search.table.count - 1)
            }
            return nil
        }
    }

    /// Where the entries are by the hashes of their paths, in a table that is at most half full.
    private func table(_ entries: UnsafeRawBufferPointer) -> [UInt32] {
        var size = 2
        while size < 2 * count { size *= 2 }
        var table = [UInt32](repeating: 0, count: size)
        for row in 0..<min(count, Int(UInt32.max) - 1) {
            var place = ReusableRows.place(ReusableRows.entry(row, entries).identity.path.0, in: table)
            while table[place] != 0 { place = (place + 1) & (size - 1) }
            table[place] = UInt32(row + 1)
        }
        return table
    }

    private static func place(_ hash: UInt64, in table: [UInt32]) -> Int { Int(hash & UInt64(table.count - 1)) }

    // MARK: Reading

    /// Calls `body` with the bytes of a row, and whether the best class of a task is below the threshold. Called by one
    /// thread.
    ///
    /// - Throws: `LabellingError.reuse` when the file cannot be read.
    func read(_ row: Int, _ body: (UnsafeRawBufferPointer, _ isBelowThreshold: Bool) -> Void) throws(LabellingError) {
        let entries = entries
        let entry = ReusableRows.entry(row, entries)
        let length = Int(entry.rowBytes)
        let offset = offset(of: row, entries)
        following = (row + 1, offset + length)
        if offset < blockStart || offset + length > blockStart + block.count { try fill(offset, length) }
        block.withUnsafeBytes { block in
            let start = offset - blockStart
            body(UnsafeRawBufferPointer(rebasing: block[start..<(start + length)]), entry.isBelowThreshold)
        }
    }

    /// Checks that the file of rows is still the one that was opened.
    ///
    /// - Throws: `LabellingError.reuse` when it has been changed.
    package func checkUnchanged() throws(LabellingError) {
        let now = try ReusableRows.status(descriptor, path)
        guard now.size == status.size, now.modified == status.modified else {
            throw .reuse(path: path, reason: "it was changed while its rows were taken")
        }
    }

    private func offset(of row: Int, _ entries: UnsafeRawBufferPointer) -> Int {
        if row == following.row, row > 0 { return following.offset }
        let first = row / ReusableRows.inputsPerOffset
        return (first * ReusableRows.inputsPerOffset..<row).reduce(offsets[first]) {
            $0 + Int(ReusableRows.entry($1, entries).rowBytes)
        }
    }

    private func fill(_ offset: Int, _ length: Int) throws(LabellingError) {
        let size = max(length, min(ReusableRows.blockBytes, status.size - offset))
        if block.count != size { block = [UInt8](repeating: 0, count: size) }
        var filled = 0
        while filled < size {
            let count = block.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + filled }, size - filled, off_t(offset + filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                block = []
                throw .reuse(path: path, reason: count < 0 ? systemReason(errno) : "it has become shorter")
            }
            filled += count
        }
        blockStart = offset
    }
}

extension ReuseRecord {
    /// Finds the record of some rows: by the name of their file, or, if it was renamed, by their digest.
    static func find(
        _ path: BytePath, rows digest: String
    ) throws(LabellingError) -> (MappedFile, ReuseRecord) {
        let place = path.resolved
        let own = ReuseRecord.path(of: place)
        func read(_ path: BytePath) -> (file: MappedFile, record: ReuseRecord)? {
            guard let file = try? MappedFile(path: path.description), let record = ReuseRecord(file.bytes) else {
                return nil
            }
            return (file, record)
        }
        let named = read(own)
        if let named, named.record.rows == digest { return named }
        // Left by a run that ended between the renames of its files. It gets its name, because another run would write
        // into it.
        let partial = ReuseRecord.partialPath(of: place)
        if let found = read(partial), found.record.rows == digest {
            if let code = FileWriting.rename(partial, to: own, syncs: false) {
                throw .reuse(path: path, reason: "\(partial) cannot be renamed: \(systemReason(code))")
            }
            return found
        }
        for other in place.parent.recordsBeside(place) {
            if let found = read(other), found.record.rows == digest { return found }
        }
        guard named == nil else { throw .reuse(path: path, reason: "it has been changed since mergevit wrote it") }
        throw .reuse(path: path, reason: "\(own), the record of their files, is missing or of another version")
    }
}

extension BytePath {
    /// The path at the end of all links; the path itself if it leads nowhere.
    var resolved: BytePath {
        guard let text = withCString({ realpath($0, nil) }) else { return self }
        defer { free(text) }
        return BytePath(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))))
    }

    /// The records of files of rows in a folder, in byte order of their names.
    fileprivate func recordsBeside(_ rows: BytePath) -> [BytePath] {
        guard let folder = withCString({ opendir($0) }) else { return [] }
        defer { closedir(folder) }
        var names: [[UInt8]] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name.first == UInt8(ascii: "."), name.suffix(6).elementsEqual(".reuse".utf8) { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }.map(appending)
    }
}
