package import Files
import Glibc

/// A list of paths to read: where it is, and what stands between its entries.
package struct FileListSource: Sendable, Equatable {
    /// Where the list comes from.
    package enum Place: Sendable, Equatable {
        case standardInput
        case file(BytePath)
    }

    /// What stands between two entries.
    package enum Separator: UInt8, Sendable, CustomStringConvertible {
        case newline = 0x0A
        case nul = 0x00

        /// The separator as a word in a message.
        package var description: String {
            switch self {
            case .newline: "line"
            case .nul: "NUL-ended entry"
            }
        }
    }

    /// Where the list comes from.
    package let place: Place
    /// What stands between two entries.
    package let separator: Separator

    /// A list of paths.
    package init(_ place: Place, separator: Separator) {
        self.place = place
        self.separator = separator
    }
}

/// Reads paths from a list, separated by newlines or NULs, as they come.
///
/// The bytes between separators are the path, whatever they are; empty entries are left out. In a list of lines, as
/// Windows' programs write them, a byte order mark before the first and a carriage return at the end of one are no part
/// of the path, unless there is a file of just that name.
package final class FileList {
    /// Told while the list has nothing to give (true, again and again) and when it continues (false). Answers whether
    /// to keep waiting.
    package typealias Waiting = (_ isWaiting: Bool) -> Bool

    /// Longer than any path can be, short enough that a list of the wrong kind does not fill the memory.
    static let longestEntry = 1 << 20

    private let source: FileListSource
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var rest = 0..<0
    private var isAtEnd = false
    private var isAtStart = true

    /// Opens the list.
    init(_ source: FileListSource) throws(FileError) {
        self.source = source
        switch source.place {
        case .standardInput: descriptor = STDIN_FILENO
        case .file(let path):
            do throws(SystemError) { descriptor = try openPatiently(path, 0) } catch {
                throw FileError(path: "the list of files \(path)", reason: error.description)
            }
            if case .success(let status) = FileStatus.of(descriptor: descriptor), status.isFolder {
                // All properties are there, so the deinitializer closes it.
                throw FileError(path: "the list of files \(path)", reason: systemReason(EISDIR))
            }
        }
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Puts the next entry that is not empty into `entry`; false at the end, or when `waiting` says to stop.
    func next(into entry: inout [UInt8], waiting: Waiting) throws(FileError) -> Bool {
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
            guard entry.count <= FileList.longestEntry else {
                throw fault("an entry is longer than a path can be; is it a list of paths, one a \(source.separator)?")
            }
        }
    }

    /// Takes from an entry of a list of lines what is no part of the path.
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

    private func fill(_ waiting: Waiting) throws(FileError) -> Bool {
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
        switch source.place {
        case .standardInput: FileError(path: "the list of files (standard input)", reason: reason)
        case .file(let path): FileError(path: "the list of files \(path)", reason: reason)
        }
    }
}
