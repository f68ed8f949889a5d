import Foundation
import Glibc
import TestSupport

@testable import Labelling

/// A folder that goes away with this object.
final class TemporaryFolder {
    let path: BytePath

    init() throws {
        var template = Array("\(NSTemporaryDirectory())/mergevit-tests-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError(code: errno) }
        path = BytePath(template.dropLast().map { UInt8(bitPattern: $0) })
    }

    deinit {
        // FileManager cannot name what is not UTF-8.
        _ = try? runProgram("/bin/rm", ["-rf", "--", path.description])
    }

    /// The path of something in the folder.
    subscript(name: String) -> BytePath { path.appending(Array(name.utf8)) }

    subscript(name: [UInt8]) -> BytePath { path.appending(name) }

    /// Writes a file, and the folders it is in.
    @discardableResult
    func write(_ name: String, _ content: String = "x") throws -> BytePath {
        try write(Array(name.utf8), Array(content.utf8))
    }

    @discardableResult
    func write(_ name: [UInt8], _ content: [UInt8]) throws -> BytePath {
        let file = self[name]
        let folder = file.parent
        if folder != path {
            try FileManager.default.createDirectory(atPath: "\(folder)", withIntermediateDirectories: true)
        }
        let descriptor = file.withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC, 0o644) }
        guard descriptor >= 0 else { throw SystemError(code: errno) }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, content, content.count) == content.count else { throw SystemError(code: errno) }
        return file
    }

    /// Makes a symbolic link.
    func link(_ name: String, to target: String) throws {
        guard self[name].withCString({ symlink(target, $0) }) == 0 else { throw SystemError(code: errno) }
    }

    /// Makes a FIFO.
    func fifo(_ name: String) throws {
        guard self[name].withCString({ mkfifo($0, 0o600) }) == 0 else { throw SystemError(code: errno) }
    }

    /// What a file holds; nil when there is none.
    func content(_ name: String) -> String? {
        FileManager.default.contents(atPath: self[name].description).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All entries of the folder itself.
    var entries: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path.description)) ?? []).sorted()
    }
}
