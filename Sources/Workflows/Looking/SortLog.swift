import Files
import Glibc
import Labelling

/// How pictures get into class folders.
package enum SortMode: String, Sendable, CaseIterable {
    /// A symbolic link to the picture.
    case link
    case copy
    case move

    /// In the past tense, for messages.
    package var verb: String {
        switch self {
        case .link: "linked"
        case .copy: "copied"
        case .move: "moved"
        }
    }
}

/// The log of a folder that pictures are sorted into: what is to be done is on the disk before it is done.
///
/// The first line says how and by which task pictures are sorted. Every other line is a picture, `from` and `to`, or
/// says that all lines before it have been done. A line that was cut short by a crash is dropped.
final class SortLog {
    /// Its name in the folder. It is hidden, so no program takes it for a picture.
    static let fileName = ".mergevit-sort.jsonl"
    private static let formatName = "mergevit-sort"
    private static let formatVersion = 1
    private static let mostBytes = 1 << 34

    /// A picture.
    struct Entry: Equatable {
        /// Its absolute path.
        let source: BytePath
        /// Its path in the folder: the class folder and the name.
        let place: BytePath
        let className: String
        /// Whether it could not be put there, so that another run may try.
        var hasFailed = false
    }

    /// The folder of the class folders.
    let folder: BytePath
    let path: BytePath
    let mode: SortMode
    let task: String
    private(set) var entries: [Entry]
    /// The number of entries that are known to have been done.
    private(set) var done: Int
    private let descriptor: Int32

    /// Opens the log of a folder, or begins one.
    ///
    /// - Throws: `FileError` when it is damaged, another process uses it, or the folder was sorted in another way.
    init(_ folder: BytePath, mode: SortMode, task: String) throws(FileError) {
        let path = folder.appending(Array(Self.fileName.utf8))
        let (descriptor, content) = try Self.open(path, creates: true)
        do throws(FileError) {
            if content.isEmpty {
                (self.entries, done) = ([], 0)
                try Self.append(Self.header(mode, task), to: descriptor, path)
            } else {
                let log = try Self.parse(content, path)
                guard log.mode == mode, log.task == task else {
                    throw FileError(
                        path: folder,
                        reason: "pictures have been \(log.mode.verb) there by \(log.task); they cannot be "
                            + "\(mode.verb) by \(task), too: choose another folder")
                }
                (entries, done) = (log.entries, log.done)
            }
        } catch {
            FileLock.close(descriptor)
            throw error
        }
        (self.folder, self.path, self.mode, self.task, self.descriptor) = (folder, path, mode, task, descriptor)
    }

    /// Opens a log that exists: the file, or the folder that it is in.
    ///
    /// - Throws: `FileError` when it is not a log, is damaged, or another process uses it.
    init(existing given: BytePath) throws(FileError) {
        var path = given
        if case .success(let status) = FileStatus.of(given), status.isFolder {
            path = given.appending(Array(Self.fileName.utf8))
        }
        let (descriptor, content) = try Self.open(path, creates: false)
        do throws(FileError) {
            let log = try Self.parse(content, path)
            (mode, task, entries, done) = (log.mode, log.task, log.entries, log.done)
        } catch {
            FileLock.close(descriptor)
            throw error
        }
        (folder, self.path, self.descriptor) = (path.parent, path, descriptor)
    }

    deinit { FileLock.close(descriptor) }

    /// The pictures in the log of a folder; none if there is no log that can be read.
    static func sources(in folder: BytePath) -> Set<BytePath> {
        var content: [UInt8] = []
        var reader = FileReader(limit: mostBytes)
        let path = folder.appending(Array(fileName.utf8))
        guard (try? reader.read(path, { content = Array($0) })) != nil, let end = content.lastIndex(of: 0x0A),
            let log = try? parse(Array(content[...end]), path)
        else { return [] }
        return Set(log.entries.map(\.source))
    }

    /// Adds pictures that are about to be put in their places.
    ///
    /// - Throws: `FileError` when the disk refuses.
    func begin(_ new: [Entry]) throws(FileError) {
        try Self.append(new.flatMap(Self.line), to: descriptor, path)
        entries += new
    }

    /// Notes that all pictures so far are in their places, but for some.
    ///
    /// - Parameter failed: the indices of the entries that could not be put there.
    /// - Throws: `FileError` when the disk refuses.
    func finish(failed: [Int]) throws(FileError) {
        guard done < entries.count else { return }
        let line: JSONObject = ["done": .int(entries.count), "failed": .array(failed.map(JSON.int))]
        try Self.append(
            Array((JSON.object(line).serialized(indented: false) + "\n").utf8), to: descriptor, path)
        for index in failed { entries[index].hasFailed = true }
        done = entries.count
    }

    /// Removes the log.
    func remove() { _ = path.withCString { unlink($0) } }

    private static func open(
        _ path: BytePath, creates: Bool
    ) throws(FileError) -> (descriptor: Int32, content: [UInt8]) {
        let flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | (creates ? O_CREAT : 0)
        let descriptor = path.withCString { Glibc.open($0, flags, 0o644) }
        guard descriptor >= 0 else { throw FileError(path: path, reason: systemReason(errno)) }
        do throws(FileError) {
            if let code = FileLock.take(descriptor) {
                throw FileError(
                    path: path,
                    reason: code == EWOULDBLOCK ? "another process sorts into this folder" : systemReason(code))
            }
            var content: [UInt8] = []
            var reader = FileReader(limit: mostBytes)
            do { try reader.read(path) { content = Array($0) } } catch let error as FileReader.Failure {
                guard error.kind == .empty else { throw FileError(path: path, reason: "\(error)") }
            } catch { throw FileError(path: path, reason: "\(error)") }
            // A crash may have cut the last line.
            let whole = (content.lastIndex(of: 0x0A) ?? -1) + 1
            if whole < content.count, creates {
                guard ftruncate(descriptor, whole) == 0 else {
                    throw FileError(path: path, reason: systemReason(errno))
                }
            }
            return (descriptor, Array(content[..<whole]))
        } catch {
            FileLock.close(descriptor)
            throw error
        }
    }

    private static func append(_ bytes: [UInt8], to descriptor: Int32, _ path: BytePath) throws(FileError) {
        try SmallFiles.append(bytes, to: descriptor, "\(path)")
        guard fdatasync(descriptor) == 0 else { throw FileError(path: path, reason: systemReason(errno)) }
    }

    private static func header(_ mode: SortMode, _ task: String) -> [UInt8] {
        let object: JSONObject = [
            "format": .string(formatName), "format_version": .int(formatVersion), "mode": .string(mode.rawValue),
            "task": .string(task),
        ]
        return Array((JSON.object(object).serialized(indented: false) + "\n").utf8)
    }

    private static func line(_ entry: Entry) -> [UInt8] {
        var line = Array("{\"from\":".utf8)
        JSONText.append(entry.source.bytes, to: &line)
        line += Array(",\"to\":".utf8)
        JSONText.append(entry.place.bytes, to: &line)
        line += Array(",\"class\":".utf8)
        JSONText.append(Array(entry.className.utf8), to: &line)
        return line + Array("}\n".utf8)
    }

    private static func parse(
        _ content: [UInt8], _ path: BytePath
    ) throws(FileError) -> (mode: SortMode, task: String, entries: [Entry], done: Int) {
        var head: (SortMode, String)?
        var (entries, done): ([Entry], Int) = ([], 0)
        for (index, line) in content.split(separator: 0x0A).enumerated() {
            func fault() -> FileError {
                FileError(path: path, reason: "line \(index + 1) is damaged, or this is not a log of sorted pictures")
            }
            guard let object = try? JSONText.object(parsing: Array(line)) else { throw fault() }
            if index == 0 {
                guard object["format"]?.stringValue == formatName, let task = object["task"]?.stringValue,
                    let mode = object["mode"]?.stringValue.flatMap(SortMode.init(rawValue:))
                else { throw fault() }
                guard object["format_version"]?.intValue == formatVersion else {
                    throw FileError(path: path, reason: "was written by another version of mergevit")
                }
                head = (mode, task)
            } else if let count = object["done"]?.intValue {
                guard (done...entries.count).contains(count) else { throw fault() }
                for failed in object["failed"]?.arrayValue ?? [] {
                    guard let index = failed.intValue, entries.indices.contains(index) else { throw fault() }
                    entries[index].hasFailed = true
                }
                done = count
            } else {
                guard let source = object["from"]?.stringValue, let place = object["to"]?.stringValue,
                    let name = object["class"]?.stringValue
                else { throw fault() }
                let (from, to) = (JSONText.bytes(of: source), JSONText.bytes(of: place))
                let parts = to.split(separator: slash, omittingEmptySubsequences: false)
                // Nothing outside of the folder is touched, whatever a log says.
                guard from.first == slash, parts.count == 2,
                    !parts.contains(where: { $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }),
                    !from.contains(0), !to.contains(0)
                else { throw fault() }
                entries.append(Entry(source: BytePath(from), place: BytePath(to), className: name))
            }
        }
        guard let head else { throw FileError(path: path, reason: "is not a log of sorted pictures") }
        return (head.0, head.1, entries, done)
    }
}
