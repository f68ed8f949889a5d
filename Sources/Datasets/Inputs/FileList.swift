package import Files
import Glibc

/// A list of paths: its origin, and the separator of its entries.
package struct FileListSource: Sendable, Equatable {
    /// The origin of a list.
    package enum Origin: Sendable, Equatable {
        case standardInput
        case file(BytePath)
    }

    /// The byte that ends an entry.
    package enum Separator: UInt8, Sendable, CustomStringConvertible {
        case newline = 0x0A
        case nul = 0x00

        /// An entry that ends with the separator, in words.
        package var description: String {
            switch self {
            case .newline: "line"
            case .nul: "NUL-ended entry"
            }
        }
    }

    /// The origin of the list.
    let origin: Origin
    /// The byte that ends each entry.
    let separator: Separator

    /// A list of paths.
    package init(_ origin: Origin, separator: Separator) {
        self.origin = origin
        self.separator = separator
    }
}

/// Reads the paths of a list one at a time, also from a pipe.
///
/// A path is all bytes between two separators; empty entries are ignored. In a list of lines, the byte order mark and
/// the carriage returns that Windows programs write are removed, unless a file of that exact name exists.
final class FileList {
    /// The length of an entry in bytes above which the file is not a list of paths.
    private static let maximumEntryLength = 1 << 20

    private let source: FileListSource
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var rest = 0..<0
    private var isAtEnd = false
    private var isAtStart = true

    /// Opens the list.
    ///
    /// - Throws: `FileError` when it cannot be opened or is a folder.
    init(_ source: FileListSource) throws(FileError) {
        self.source = source
        switch source.origin {
        case .standardInput: descriptor = STDIN_FILENO
        case .file(let path):
            do throws(SystemError) { descriptor = try openPatiently(path, 0) } catch {
                throw FileError(path: "the list of files \(path)", reason: error.description)
            }
            if case .success(let status) = FileStatus.of(descriptor: descriptor), status.isFolder {
                // All properties are set, so the deinitializer closes the descriptor.
                throw FileError(path: "the list of files \(path)", reason: systemReason(EISDIR))
            }
        }
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Reads the next entry that is not empty.
    ///
    /// - Returns: false at the end, or when `waiting` returns false.
    /// - Throws: `FileError` when the list cannot be read, is UTF-16, or has an entry longer than a path can be.
    func next(into entry: inout [UInt8], waiting: InputLister.Waiting) throws(FileError) -> Bool {
        let separator = source.separator.rawValue
        entry.removeAll(keepingCapacity: true)
        while true {
            if rest.isEmpty {
                guard try fill(waiting) else {
                    trim(&entry)
                    return !entry.isEmpty
                }
            }
            if let end = buffer[rest].firstIndex(of: separator) {
                entry.append(contentsOf: buffer[rest.lowerBound..<end])
                rest = (end + 1)..<rest.upperBound
                trim(&entry)
                if !entry.isEmpty { return true }
            } else {
                entry.append(contentsOf: buffer[rest])
                rest = 0..<0
            }
            guard entry.count <= FileList.maximumEntryLength else {
                throw fault(
                    "an entry is longer than a path can be; is it a list of paths, one per \(source.separator)?")
            }
        }
    }

    /// Removes the byte order mark and carriage return of an entry of a list of lines.
    private func trim(_ entry: inout [UInt8]) {
        guard source.separator == .newline else { return }
        let hasMark = isAtStart && entry.starts(with: [0xEF, 0xBB, 0xBF])
        isAtStart = false
        guard hasMark || entry.last == 0x0D else { return }
        if case .success = FileStatus.of(BytePath(entry)) { return }
        if hasMark { entry.removeFirst(3) }
        if entry.last == 0x0D {
            if hasMark, case .success = FileStatus.of(BytePath(entry)) { return }
            entry.removeLast()
        }
    }

    private func fill(_ waiting: InputLister.Waiting) throws(FileError) -> Bool {
        guard !isAtEnd else { return false }
        var isWaiting = false
        defer { if isWaiting { _ = waiting(false) } }
        while true {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&request, 1, isWaiting ? 100 : 0)
            if ready == 0 || (ready < 0 && errno == EINTR) {
                isWaiting = true
                guard waiting(true) else { return false }
                continue
            }
            guard ready > 0 else { throw fault(systemReason(errno)) }
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw fault(systemReason(errno)) }
            rest = 0..<count
            isAtEnd = count == 0
            let isUTF16 =
                count > 3 && [[0xFF, 0xFE], [0xFE, 0xFF]].contains(Array(buffer[..<2])) && buffer[..<4].contains(0)
            guard !isAtStart || source.separator == .nul || !isUTF16 else {
                throw fault("it is text in UTF-16; save it as UTF-8")
            }
            return !isAtEnd
        }
    }

    private func fault(_ reason: String) -> FileError {
        switch source.origin {
        case .standardInput: FileError(path: "the list of files (standard input)", reason: reason)
        case .file(let path): FileError(path: "the list of files \(path)", reason: reason)
        }
    }
}
