import Files
import Glibc
import Tensors
import VisionTransformers

/// Class names from the files in which people keep them.
enum ClassNames {
    /// The files beside an adapter that are looked for, the first that is there is read.
    private static let fileNames = [
        "labels.json", "labels.txt", "id2label.json", "label2id.json", "class_to_idx.json", "class_indices.json",
        "class_names.json", "class_names.txt", "classes.txt", "config.json",
    ]

    /// The file of class names in a folder, or nil. A `config.json` need not have any.
    static func file(in folder: String) -> String? {
        fileNames.map { "\(folder)/\($0)" }.first { access($0, F_OK) == 0 }
    }

    /// Finds the class names of an adapter.
    ///
    /// - Parameters:
    ///   - labels: the file that the user named, or nil: then the one in the folder (`file(in:)`).
    ///   - classes: how many the head has.
    /// - Returns: nil if no file exists, or only a `config.json` without names.
    /// - Throws: `ModelError` when the file holds no names, or not as many as the head has classes, or a name appears
    ///   twice.
    static func find(
        labels: String?, folder: String, classes: Int
    ) throws -> (names: [String], file: String?)? {
        guard let path = labels ?? file(in: folder) else { return nil }
        guard let names = try read(path) else {
            guard labels == nil, SmallFiles.name(of: path) == "config.json" else {
                throw ModelError(
                    path,
                    "no class names: expected {\"id2label\": {\"0\": NAME, ...}}, {\"label2id\": {NAME: 0, "
                        + "...}}, either of them "
                        + "alone, or an array of names")
            }
            return nil
        }
        guard names.count == classes else {
            throw ModelError(path, "\(names.count) class names for a head of \(classes) classes")
        }
        var seen: Set<[UInt8]> = []
        for name in names where !seen.insert(Array(name.utf8)).inserted {
            throw ModelError(path, "class name \"\(name)\" appears twice")
        }
        return (names, path)
    }

    /// A note about each group of names that are probably spellings of one class.
    static func notes(_ names: [String]) -> [String] {
        ClassName.variants(among: names).map { names in
            let list = names.map { "\"\($0)\"" }.joined(separator: " and ")
            return "class names \(list) differ by case, spaces or the form of letters alone"
        }
    }

    /// Reads JSON or, from a `.txt` file, one name a line, after a byte order mark if there is one.
    ///
    /// - Returns: nil when the file is sound and holds no names.
    private static func read(_ path: String) throws -> [String]? {
        if path.hasSuffix(".txt") {
            let file = try MappedFile(path: path)
            let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
            let bytes = file.bytes.dropFirst(file.bytes.starts(with: mark) ? mark.count : 0)
            guard let text = String(validating: bytes, as: UTF8.self) else { throw ModelError(path, "not UTF-8") }
            // White space at the ends of a line is never meant.
            return text.split(whereSeparator: \.isNewline).compactMap { line in
                let start = line.drop(while: \.isWhitespace)
                guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return nil }
                return String(start[...last])
            }
        }
        let json = try JSON(contentsOf: path)
        if let array = json.arrayValue {
            let names = array.compactMap(BackboneConfiguration.className)
            guard names.count == array.count else { throw ModelError(path, "expected an array of strings") }
            return names.isEmpty ? nil : names
        }
        guard var object = json.objectValue else { return nil }
        if let names = try BackboneConfiguration.classNames(json, path: path) { return names }
        for key in ["label2id", "class_to_idx", "class_indices"] {
            guard let value = object[key], value != .null else { continue }
            guard let members = value.objectValue?.members, !members.isEmpty else {
                throw ModelError(path, "\(key): expected an object with numbers, found \(value.kind)")
            }
            return try names(byNumber: members, key: "\(key): ", path: path)
        }
        guard SmallFiles.name(of: path) != "config.json" else { return nil }
        object[ProblemType.key] = nil
        return try names(of: object, path: path)
    }

    /// The names in an object that is either {number: name} or {name: number}, whichever it can be.
    private static func names(of object: JSONObject, path: String) throws -> [String]? {
        let members = object.members
        let hasNumberedKeys = members.allSatisfy { Int($0.key) != nil }
        let hasNumbers = members.allSatisfy { hasNumberedKeys ? $0.value.intValue != nil : number($0.value) != nil }
        guard !members.isEmpty, hasNumberedKeys || hasNumbers else { return nil }
        func byKey() throws -> [String]? {
            try BackboneConfiguration.classNames(.object(["id2label": .object(object)]), path: path)
        }
        guard hasNumbers else { return try byKey() }
        guard hasNumberedKeys else { return try names(byNumber: members, key: "", path: path) }
        // Classes that are called by numbers: it is clear which are the numbers of classes if only one side runs from
        // 0.
        let (first, second) = (try? byKey(), try? names(byNumber: members, key: "", path: path))
        guard let first else { return try second ?? byKey() }
        guard let second, second != first else { return first }
        throw ModelError(
            path,
            "{\"\(members[0].key)\": \(members[0].value.shownBriefly), ...}: which are the names? Write "
                + "{\"id2label\": {...}} or "
                + "{\"label2id\": {...}}")
    }

    private static func number(_ value: JSON) -> Int? { value.intValue ?? value.stringValue.flatMap { Int($0) } }

    /// The names in {name: number}, in the order of their numbers.
    private static func names(
        byNumber members: [(key: String, value: JSON)], key: String, path: String
    ) throws -> [String] {
        var names = [String?](repeating: nil, count: members.count)
        for (name, value) in members {
            guard let number = number(value) else {
                throw ModelError(path, "\(key)\"\(name)\": expected a number, found \(value.kind)")
            }
            guard names.indices.contains(number) else {
                throw ModelError(
                    path, "\(key)numbers must run from 0 to \(members.count - 1), found \(number) of \"\(name)\"")
            }
            if let other = names[number] {
                throw ModelError(path, "\(key)\"\(other)\" and \"\(name)\" both have the number \(number)")
            }
            names[number] = name
        }
        return names.compactMap(\.self)
    }
}

extension JSON {
    /// The value as written in the file.
    fileprivate var shownBriefly: String { String(serialized(indented: false).prefix(20)) }
}
