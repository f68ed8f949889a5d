import Glibc

/// Reads paths from a list, separated by newlines or NULs, as they come.
///
/// The bytes between separators are the path, whatever they are; empty entries are left out.
final class FileList {
    /// Told while the list has nothing to give (true, again and again) and when it goes on (false). Answers whether to
    /// go on waiting.
    typealias Waiting = (_ isWaiting: Bool) -> Bool

    /// Longer than any path can be, short enough that a list of the wrong kind does not fill the memory.
    static let longestEntry = 1 << 20

    private let source: FileListSource
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var rest = 0..<0
    private var isAtEnd = false

    /// Opens the list.
    init(_ source: FileListSource) throws(LabellingError) {
        self.source = source
        switch source.place {
        case .standardInput: descriptor = STDIN_FILENO
        case .file(let path):
            do throws(SystemError) { descriptor = try openPatiently(path, 0) } catch {
                throw .fileList(path: path, reason: error.description)
            }
            if case .success(let status) = FileStatus.of(descriptor: descriptor), status.isFolder {
                // All properties are there, so the deinitializer closes it.
                throw .fileList(path: path, reason: systemReason(EISDIR))
            }
        }
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Puts the next entry that is not empty into `entry`; false at the end, or when `waiting` says to stop.
    func next(into entry: inout [UInt8], waiting: Waiting) throws(LabellingError) -> Bool {
        let separator = source.separator.rawValue
        entry.removeAll(keepingCapacity: true)
        while true {
            if rest.isEmpty {
                guard try fill(waiting) else { return !entry.isEmpty }
            }
            if let end = buffer[rest].firstIndex(of: separator) {
                entry.append(contentsOf: buffer[rest.lowerBound..<end])
                rest = (end + 1)..<rest.upperBound
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

    private func fill(_ waiting: Waiting) throws(LabellingError) -> Bool {
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
            return !isAtEnd
        }
    }

    private func fault(_ reason: String) -> LabellingError {
        switch source.place {
        case .standardInput: .fileList(path: BytePath("(standard input)"), reason: reason)
        case .file(let path): .fileList(path: path, reason: reason)
        }
    }
}
