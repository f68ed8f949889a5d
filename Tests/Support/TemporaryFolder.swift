package import Files
package import Foundation
import Glibc

/// A folder for one test, which goes away with this object. Names are bytes: they need not be UTF-8.
package final class TemporaryFolder {
    package let url: URL

    package init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("mergevit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { Self.remove(url) }

    /// The folder's absolute path, without a slash at its end.
    package var path: String { url.path }

    /// The absolute path of an entry.
    package func path(_ name: String) -> String { "\(path)/\(name)" }

    /// The absolute path of an entry, for names of any bytes.
    package subscript(name: String) -> BytePath { BytePath(path(name)) }

    package subscript(name: [UInt8]) -> BytePath { BytePath(path).appending(name) }

    /// Writes a file, and creates the folders it is in. Returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String = "x") throws -> String { try write(name, text.utf8) }

    @discardableResult
    package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        try write(name.utf8, bytes)
        return path(name)
    }

    package func write(_ name: some Sequence<UInt8>, _ bytes: some Sequence<UInt8>) throws {
        let (name, bytes) = (Array(name), Array(bytes))
        if let slash = name.lastIndex(of: UInt8(ascii: "/")) {
            try createFolder(String(decoding: name[..<slash], as: UTF8.self))
        }
        let descriptor = open(cString(name), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw failure("write", name) }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw failure("write", name) }
    }

    /// Creates a folder, and those it is in.
    package func createFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: true)
    }

    /// Copies a file or folder into the folder.
    package func copy(_ source: String, to name: String) throws {
        try FileManager.default.copyItem(atPath: source, toPath: path(name))
    }

    /// Makes a symbolic link.
    package func link(_ name: String, to target: String) throws {
        guard symlink(target, path(name)) == 0 else { throw failure("make", Array(name.utf8)) }
    }

    /// Makes a FIFO.
    package func fifo(_ name: String) throws {
        guard mkfifo(path(name), 0o600) == 0 else { throw failure("make", Array(name.utf8)) }
    }

    /// Makes a file seem to have been changed the given number of seconds ago.
    package func age(_ name: String, seconds: Int = 3600) throws {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var times = [timespec(tv_sec: now.tv_sec - seconds, tv_nsec: 0)]
        times.append(times[0])
        guard utimensat(AT_FDCWD, path(name), times, 0) == 0 else { throw failure("age", Array(name.utf8)) }
    }

    /// Removes a file or folder.
    package func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

    /// The content of a file.
    package func read(_ name: String) throws -> [UInt8] { try readBytes(path(name)) }

    /// The content of a file as text; nil if there is none.
    package func content(_ name: String) -> String? {
        (try? read(name)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The names of all entries of the folder or of one inside it, hidden ones too, in order.
    package func entries(_ name: String = ".") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(name)).sorted()
    }

    /// The content of every file directly inside a folder.
    package func files(_ name: String) throws -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: try entries(name).map { ($0, try read("\(name)/\($0)")) })
    }

    private func cString(_ name: [UInt8]) -> [CChar] {
        (Array("\(path)/".utf8) + name).map { CChar(bitPattern: $0) } + [0]
    }

    private func failure(_ action: String, _ name: [UInt8]) -> CannotRun {
        CannotRun(
            description: "cannot \(action) \(path)/\(String(decoding: name, as: UTF8.self)): "
                + String(cString: strerror(errno)))
    }

    /// Removes a folder and everything in it.
    fileprivate static func remove(_ url: URL) {
        // FileManager cannot name what is not UTF-8.
        do { try FileManager.default.removeItem(at: url) } catch {
            _ = try? runProgram("/bin/rm", ["-rf", "--", url.path])
        }
    }
}

/// One folder for the whole process, for what several tests share; removed when the tests end.
package enum SharedFolder {
    private static let root = Result {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mergevit-shared-\(getpid())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        atexit { SharedFolder.cleanUp() }
        return url
    }

    /// The absolute path of an entry.
    package static func path(_ name: String) throws -> String { try root.get().path + "/" + name }

    /// The path of a new, empty folder inside it.
    package static func subfolder() throws -> String {
        let path = try path(UUID().uuidString)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    private static func cleanUp() { if let url = try? root.get() { TemporaryFolder.remove(url) } }
}

/// The content of a file.
package func readBytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
