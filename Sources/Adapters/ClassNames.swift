import Glibc
import Tensors
import VisionTransformers

/// Class names from the files in which people keep them.
enum ClassNames {
    /// Finds the class names of an adapter.
    ///
    /// - Parameters:
    ///   - labels: the file that the user named, or nil: then `labels.json` or `config.json` in the folder.
    ///   - classes: how many the head has.
    /// - Returns: nil when there are none.
    /// - Throws: `ModelError` when the number of names is not that of the classes, a name stands twice, or the file that
    ///   the user named holds none.
    static func find(
        labels: String?, folder: String, classes: Int
    ) throws -> (names: [String], file: String?)? {
        let beside = ["labels.json", "config.json"].first { access("\(folder)/\($0)", F_OK) == 0 }
        guard let path = labels ?? beside.map({ "\(folder)/\($0)" }) else { return nil }
        guard let names = try read(path) else {
            guard labels == nil else {
                throw ModelError(path, "no class names: expected \"id2label\", an object of numbers, or an array")
            }
            return nil
        }
        guard names.count == classes else {
            throw ModelError(path, "\(names.count) class names for a head of \(classes) classes")
        }
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw ModelError(path, "class name \"\(name)\" stands twice")
        }
        return (names, path)
    }

    /// Reads JSON (`{"id2label": {"0": …}}`, `{"0": …}` or an array) or, from a `.txt` file, one name a line,
    /// after a byte order mark if there is one.
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
            let names = array.compactMap(\.stringValue)
            guard names.count == array.count else { throw ModelError(path, "expected an array of strings") }
            return names
        }
        if json.objectValue?["id2label"] == nil, json.objectValue?["0"] != nil {
            return try BackboneConfiguration.classNames(.object(["id2label": json]), path: path)
        }
        return try BackboneConfiguration.classNames(json, path: path)
    }
}
