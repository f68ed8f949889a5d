package import Files
import Glibc
import VisionTransformers

/// The names of class folders that can hold any class on any file system, and the file that says which class a folder
/// is of where the two differ.
///
/// A name that is safe stays as it is. Else the characters that no file name may have on one system or another become
/// `%XX`, and so does what a name may not begin or end with. Of names that differ only by case, all but the first in
/// byte order get a number. So a tree can be copied to any file system.
package struct ClassFolders: Sendable, Equatable {
    /// The file in the folder of the class folders. It is hidden, so no program takes it for a picture.
    package static let fileName = ".mergevit-classes.json"
    private static let mostBytes = 200

    /// The folder's name of each class.
    package private(set) var names: [String: String] = [:]
    private var taken: Set<String> = []

    /// No classes yet.
    package init() {}

    /// Gives folders to classes that have none yet.
    package mutating func add(_ classes: some Sequence<String>) {
        let new = Set(classes).subtracting(names.keys)
        for name in new.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let safe = Self.safe(name)
            var (folder, number) = (safe, 1)
            while taken.contains(folder.lowercased()) {
                number += 1
                folder = "\(safe)~\(number)"
            }
            add(name, folder: folder)
        }
    }

    /// Notes the folder of a class.
    package mutating func add(_ name: String, folder: String) {
        names[name] = folder
        taken.insert(folder.lowercased())
    }

    /// The classes whose folders have another name, by the folder.
    package var renamed: [String: String] {
        Dictionary(
            names.filter { ClassName.trimmed($0.value) != $0.key }.map { ($0.value, $0.key) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Reads the file of a folder.
    ///
    /// - Returns: the class of each folder in the file; empty if the file does not exist.
    /// - Throws: `FileError` when the file is not as `write` writes it.
    package static func classes(in folder: BytePath) throws(FileError) -> [String: String] {
        let path = folder.appending(Array(fileName.utf8))
        guard case .success(let status) = FileStatus.of(path), status.isRegular else { return [:] }
        var content: [UInt8] = []
        var reader = FileReader(limit: 1 << 26)
        do { try reader.read(path) { content = Array($0) } } catch {
            throw FileError(path: path, reason: "\(error)")
        }
        let object: JSONObject?
        do throws(JSONError) { object = try JSON(parsing: content).objectValue } catch {
            throw FileError(path: path, reason: "\(error)")
        }
        var classes: [String: String] = [:]
        for (folder, name) in object?["classes"]?.objectValue?.members ?? [] { classes[folder] = name.stringValue }
        guard let object, object["classes"]?.objectValue?.keys.count == classes.count else {
            throw FileError(path: path, reason: "expected {\"classes\": {\"folder\": \"class\"}}")
        }
        return classes
    }

    /// Writes the file, if a folder has another name than its class.
    ///
    /// - Throws: `OutputError` when it cannot be written.
    package func write(to folder: BytePath) throws {
        guard !renamed.isEmpty else { return }
        var classes = JSONObject()
        for (folder, name) in renamed.sorted(by: { $0.key < $1.key }) { classes[folder] = .string(name) }
        let file = try OutputFile.replacing(folder.appending(Array(Self.fileName.utf8)))
        try file.write(Array(JSON.object(["classes": .object(classes)]).serialized().utf8))
        try file.commit()
    }

    /// A name that any file system takes.
    static func safe(_ name: String) -> String {
        let scalars = Array(name.unicodeScalars)
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            let isFirst = index == 0
            let isLast = index == scalars.count - 1
            let isReserved =
                "/\\:*?\"<>|".unicodeScalars.contains(scalar) || scalar.value < 0x20 || scalar.value == 0x7F
            let isOutside =
                (isFirst && scalar == ".") || ((isFirst || isLast) && scalar == " ") || (isLast && scalar == ".")
            if isReserved || isOutside || (isFirst && isSystemName(name)) {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "%" + (digits.count < 2 ? "0" : "") + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        guard result.utf8.count > mostBytes else { return result }
        var short = result
        while short.utf8.count > mostBytes - 17 { short.removeLast() }
        return short + "-" + SHA256.text(ofUTF8: name).prefix(16)
    }

    /// Whether a name is one that Windows keeps for devices, or that is never looked at in a folder.
    private static func isSystemName(_ name: String) -> Bool {
        let stem = name.prefix { $0 != "." }.uppercased()
        let isDevice =
            ["CON", "PRN", "AUX", "NUL"].contains(stem)
            || stem.count == 4 && (stem.hasPrefix("COM") || stem.hasPrefix("LPT")) && stem.last?.isNumber == true
        return isDevice || IgnoredName.contains(Array(name.utf8))
    }
}
