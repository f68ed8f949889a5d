import Foundation
import Glibc
import TestSupport

/// A folder for one test, which goes away with this object. File names are bytes.
final class Scratch {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("mergevit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { Scratch.remove(url) }

    /// Removes a folder with all in it; FileManager cannot name what is not UTF-8.
    static func remove(_ url: URL) { _ = try? runProgram("/bin/rm", ["-rf", "--", url.path]) }

    /// The absolute path of something in the folder.
    func path(_ name: String) -> String { "\(url.path)/\(name)" }

    /// Writes a file, and the folder that it is in.
    func write(_ name: String, _ bytes: [UInt8]) throws { try write(Array(name.utf8), bytes) }

    func write(_ name: [UInt8], _ bytes: [UInt8]) throws {
        let file = Array("\(url.path)/".utf8) + name
        if let slash = name.lastIndex(of: UInt8(ascii: "/")) {
            try FileManager.default.createDirectory(
                atPath: path(String(decoding: name[..<slash], as: UTF8.self)), withIntermediateDirectories: true)
        }
        let name = file.map { CChar(bitPattern: $0) } + [0]
        let descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw CannotRun(description: "cannot write \(String(decoding: file, as: UTF8.self))")
        }
        close(descriptor)
    }

    /// Copies a file or folder into the folder.
    func copy(_ source: String, to name: String) throws {
        try FileManager.default.copyItem(atPath: source, toPath: path(name))
    }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: path(name)) }

    /// What a file holds.
    func read(_ name: String) throws -> [UInt8] { try readBytes(path(name)) }

    /// The names of all entries of the folder or one below, hidden ones too.
    func entries(_ name: String = ".") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(name)).sorted()
    }
}

/// What a file holds.
func readBytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

/// The cells of a CSV or TSV file, by RFC 4180; lines end in LF.
func cells(_ bytes: [UInt8], delimiter: Character = ",") -> [[String]] {
    let (separator, quote, end) = (delimiter.asciiValue ?? 0, UInt8(ascii: "\""), UInt8(ascii: "\n"))
    var rows: [[String]] = []
    var row: [String] = []
    var cell: [UInt8] = []
    var isQuoted = false
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        index += 1
        if byte == quote {
            if isQuoted, index < bytes.count, bytes[index] == quote {
                cell.append(quote)
                index += 1
            } else {
                isQuoted.toggle()
            }
        } else if !isQuoted, byte == separator || byte == end {
            row.append(String(decoding: cell, as: UTF8.self))
            cell = []
            if byte == end {
                rows.append(row)
                row = []
            }
        } else {
            cell.append(byte)
        }
    }
    return rows
}

/// The rows of a CSV or TSV file by column name.
func table(_ bytes: [UInt8], delimiter: Character = ",") -> [[String: String]] {
    let rows = cells(bytes, delimiter: delimiter)
    return rows.dropFirst().map { row in
        Dictionary(zip(rows[0], row), uniquingKeysWith: { $1 })
    }
}
