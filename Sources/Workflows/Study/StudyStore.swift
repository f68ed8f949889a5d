import Evaluation
import Files
import Glibc
import Labelling
import Tensors
import Training
import VisionTransformers

/// The results of a study: an append-only file of JSON lines, so that a study killed at any moment can resume.
///
/// The first line identifies the format. A line `{"fact": NAME, "value": ...}` holds something that all results depend
/// on, such as the SHA-256 of the base: it is written once, and a run with another value is refused. A line `{"result":
/// ...}` holds the result of a merge. An incomplete last line is cut off.
final class StudyStore {
    /// The file.
    let path: String
    private let descriptor: Int32
    private var facts: [String: JSON] = [:]
    private var results: [String: StudyResult] = [:]

    private static let formatName = "mergevit-study"
    private static let formatVersion = 1
    /// The file's name in a study's folder.
    static let fileName = "results.jsonl"

    /// Opens the results in a folder, which is created unless it exists, and locks it.
    ///
    /// - Throws: `ModelError` when the folder is no study, another process has locked it, or the file is damaged.
    init(folder: String) throws(ModelError) {
        path = "\(folder)/\(Self.fileName)"
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
            throw ModelError(folder, "cannot be written: \(systemReason(errno))")
        }
        if access(path, F_OK) != 0, let name = try? SmallFiles.names(in: folder).first {
            throw ModelError(folder, "holds \"\(name)\" but no \(Self.fileName): not a study")
        }
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ModelError(path, systemReason(errno)) }
        guard FileLock.take(descriptor) == nil else {
            throw ModelError(folder, "another process is working on this study")
        }
        try readLines()
    }

    deinit { FileLock.close(descriptor) }

    // MARK: Facts and results

    /// A result, if it exists.
    func result(_ variant: String, _ tasks: [String]) -> StudyResult? { results[Self.key(variant, tasks)] }

    /// The names of the facts, in the order of the file.
    private(set) var factNames: [String] = []

    /// The value of a fact.
    func fact(_ name: String) -> JSON? { facts[name] }

    /// Records a fact, or checks that it has not changed.
    ///
    /// - Throws: `ModelError` naming the difference.
    func bind(_ name: String, _ value: JSON) throws(ModelError) {
        guard let known = facts[name] else {
            try append(["fact": .string(name), "value": value])
            remember(name, value)
            return
        }
        guard known != value else { return }
        throw ModelError(path, "belongs to another study: \(Self.difference(name, known, value))")
    }

    private func remember(_ name: String, _ value: JSON) {
        if facts.updateValue(value, forKey: name) == nil { factNames.append(name) }
    }

    /// Stores a result.
    ///
    /// - Throws: `ModelError` when writing fails.
    func keep(_ result: StudyResult) throws(ModelError) {
        try append(["result": result.json])
        results[Self.key(result.variant, result.tasks)] = result
    }

    private static func key(_ variant: String, _ tasks: [String]) -> String {
        ([variant] + tasks.sorted()).joined(separator: "/")
    }

    /// The difference in words; of two objects only the members that differ.
    private static func difference(_ name: String, _ then: JSON, _ now: JSON) -> String {
        if let then = then.objectValue, let now = now.objectValue {
            let members = settingsDifference(then, now, limit: maximumText)
            if !members.isEmpty { return "\(name): \(members)" }
        }
        return settingsDifference([name: then], [name: now], limit: maximumText)
    }

    /// The maximum number of characters of a value in a message.
    private static let maximumText = 120

    // MARK: The file

    private func readLines() throws(ModelError) {
        let bytes = try content()
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        if end < bytes.count {
            guard ftruncate(descriptor, off_t(end)) == 0 else {
                throw ModelError(path, systemReason(errno))
            }
        }
        guard end > 0 else {
            return try append(["format": .string(Self.formatName), "format_version": .int(Self.formatVersion)])
        }
        for (number, line) in bytes[..<(end - 1)].split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            guard let text = String(validating: line, as: UTF8.self),
                let object = (try? JSON(parsing: Array(text.utf8)))?.objectValue
            else { throw ModelError(path, "line \(number + 1): damaged: expected an object") }
            guard number > 0 else {
                guard object["format"]?.stringValue == Self.formatName,
                    object["format_version"]?.intValue == Self.formatVersion
                else { throw ModelError(path, "not the results of a study of this version of mergevit") }
                continue
            }
            if let name = object["fact"]?.stringValue, let value = object["value"] {
                remember(name, value)
            } else if let result = object["result"].flatMap(StudyResult.init) {
                results[Self.key(result.variant, result.tasks)] = result
            } else {
                throw ModelError(path, "line \(number + 1): damaged: expected a fact or a result")
            }
        }
    }

    private func content() throws(ModelError) -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &block, block.count)
            if count > 0 {
                bytes += block[..<count]
            } else if count == 0 {
                return bytes
            } else if errno != EINTR {
                throw ModelError(path, systemReason(errno))
            }
        }
    }

    private func append(_ line: JSONObject) throws(ModelError) {
        let text = JSON.object(line).serialized(indented: false) + "\n"
        do { try SmallFiles.append(Array(text.utf8), to: descriptor, path) } catch {
            throw ModelError(error.path, error.reason)
        }
        guard fsync(descriptor) == 0 else { throw ModelError(path, systemReason(errno)) }
    }
}

extension StudyResult {
    /// The result as in the `result` of a line.
    var json: JSON {
        .object([
            "variant": .string(variant), "scale": .double(scale),
            "tasks": .array(
                tasks.indices.map { index in
                    var task: JSONObject = [
                        "name": .string(tasks[index]), "images": .int(masks[index].count),
                        "right": .string(masks[index].text),
                    ]
                    if let agreement = agreements?[index] {
                        task["same"] = .string(agreement.same.text)
                        task["divergence"] = .double(agreement.divergence)
                    }
                    return .object(task)
                }),
        ])
    }

    /// Reads a result from its JSON; nil when that is invalid.
    init?(_ json: JSON) {
        guard let object = json.objectValue, let variant = object["variant"]?.stringValue,
            let scale = object["scale"]?.doubleValue, let tasks = object["tasks"]?.arrayValue
        else { return nil }
        let parts = tasks.compactMap { task -> (String, CorrectnessMask, StudyAgreement?)? in
            guard let object = task.objectValue, let name = object["name"]?.stringValue,
                let count = object["images"]?.intValue, let text = object["right"]?.stringValue,
                let masks = CorrectnessMask(text: text, count: count)
            else { return nil }
            guard let same = object["same"]?.stringValue else { return (name, masks, nil) }
            guard let same = CorrectnessMask(text: same, count: count),
                let divergence = object["divergence"]?.doubleValue
            else { return nil }
            return (name, masks, StudyAgreement(same: same, divergence: divergence))
        }
        guard parts.count == tasks.count else { return nil }
        let agreements = parts.compactMap(\.2)
        self.init(
            variant: variant, tasks: parts.map(\.0), scale: scale, masks: parts.map(\.1),
            agreements: agreements.count == parts.count ? agreements : nil)
    }
}

extension TaskSimilarity {
    var json: JSON {
        .object([
            "tasks": .array(tasks.map(JSON.string)), "cosine": .double(cosine), "overlap": .double(overlap),
            "distance": .double(distance),
        ])
    }

    init?(_ json: JSON) {
        guard let object = json.objectValue, let tasks = object["tasks"]?.arrayValue?.compactMap(\.stringValue),
            tasks.count == 2, let cosine = object["cosine"]?.doubleValue,
            let overlap = object["overlap"]?.doubleValue, let distance = object["distance"]?.doubleValue
        else { return nil }
        self.init(tasks: tasks, cosine: cosine, overlap: overlap, distance: distance)
    }
}
