package import Files
import Glibc
import Images
import Tensors
import VisionTransformers

/// How a base differs from the one that an adapter was trained over, as far as the adapter's folder tells.
package struct BaseDifference: Sendable, Equatable {
    /// What tells that the base's weights are others, or nil. The adapter is wrong over them, whatever their shapes.
    package internal(set) var weights: String?
    /// Whether checksums show that the weights are the same.
    package internal(set) var isSameBase = false
    /// What may change results although the weights are the same, or were not compared: other settings beside them.
    package internal(set) var warnings: [Warning] = []
    /// Set when the base has another name than the one by `base_model_name_or_path`; nil when they agree or say
    /// nothing. Names are no proof.
    package internal(set) var name: Name?

    /// Two names that disagree.
    package struct Name: Sendable, Equatable {
        /// The base that the adapter was made for.
        package let recorded: String
        /// What this base is called.
        package let found: String
    }
}

/// What an adapter's folder says of the base that it was trained over: its name in `adapter_config.json`, and checksums
/// of its files in `training.json`, which `train` writes, or `recipe.json`, which `merge --as adapter` writes.
struct RecordedBase {
    /// The file that says how a merged adapter was made.
    static let recipeName = "recipe.json"

    /// `base_model_name_or_path`, or nil.
    private let name: String?
    /// The file with the checksums, or nil when there is none.
    private var record: String?
    /// Where the base was, by that file.
    private var place: String?
    /// SHA-256 by the last part of the file's name.
    private var digests: [(name: String, sha256: String)] = []
    /// Whose resize its images went through, or nil where no training is recorded.
    private var resize: ResizeBackend?
    /// Why the record cannot be read, if it cannot.
    private var unreadable: String?

    /// Reads what is beside an adapter's weights.
    ///
    /// - Throws: `ModelError` when one of our records does not have the checksums of a base.
    init(folder: String, name: String?) throws {
        self.name = name
        let records = [
            (TrainedAdapter.recordName, "mergevit-training"), (Self.recipeName, "mergevit-adapter"),
        ]
        for (file, format) in records where access("\(folder)/\(file)", F_OK) == 0 {
            let path = "\(folder)/\(file)"
            let json: JSON
            do { json = try JSON(contentsOf: path) } catch {
                unreadable = "\(error)"
                continue
            }
            // Other tools write files of these names, too.
            guard let object = json.objectValue, object["format"]?.stringValue == format else { continue }
            let base = (object["base"] ?? object["recipe"]?.objectValue?["base"])?.objectValue
            guard let members = base?["sha256"]?.objectValue?.members, !members.isEmpty else {
                throw ModelError(path, "base: expected the SHA-256 of its files")
            }
            digests = try members.map { name, value in
                guard let digest = value.stringValue, digest.utf8.count == 64 else {
                    throw ModelError(path, "base: sha256: \(name): expected 64 hexadecimal digits")
                }
                return (name, digest)
            }
            record = file
            place = base?["path"]?.stringValue
            if file == TrainedAdapter.recordName {
                // Runs that resized as Pillow do not say so.
                let recorded = object["options"]?.objectValue?["resize"]?.stringValue ?? ResizeBackend.pillow.rawValue
                resize = ResizeBackend(rawValue: recorded)
            }
            return
        }
    }

    /// Compares with a base: by checksums where they are known, else by name.
    ///
    /// - Throws: `FileError` when a file of the base cannot be read.
    func difference(from base: Checkpoint) throws -> BaseDifference {
        var difference = BaseDifference()
        guard let record else {
            if let unreadable {
                difference.warnings.append(
                    "\(unreadable); so the base cannot be compared with the one it was trained over")
            }
            difference.name = BaseName.disagreement(name, base)
            return difference
        }
        let weights = digests.filter { !$0.name.hasSuffix(".json") }
        let found = try base.weightDigests
        guard Set(weights.map(\.sha256)) == Set(found.map(\.sha256)) else {
            func short(_ digest: String) -> String { "\(digest.prefix(12))..." }
            for (name, digest) in weights where !found.contains(where: { $0.sha256 == digest }) {
                let other =
                    found.first { $0.name == name }
                    ?? found.first { file in
                        !weights.contains { $0.sha256 == file.sha256 }
                    }
                let here = other.map { ($0.name == name ? "" : "\($0.name) ") + short($0.sha256) } ?? "no such file"
                difference.weights = "\(record): \(name) \(short(digest)), here \(here)"
                return difference
            }
            difference.weights = "\(record): \(weights.count) files of weights, here \(found.count)"
            return difference
        }
        difference.isSameBase = true
        // Where both records name one place, the base has only moved.
        if name != place { difference.name = BaseName.disagreement(name, base) }
        for (name, digest) in digests where name.hasSuffix(".json") {
            guard let (path, found) = try base.settingsDigest(name) else { continue }
            if found != digest {
                difference.warnings.append(
                    "\(path) is not the one that it was trained with (\(record)); the weights are")
            }
        }
        if let resize, case let here = try base.resizeBackend(), resize != here {
            difference.warnings.append(
                Warning(
                    "trained on images resized as \(resize) does (\(record)), and images are resized as \(here) "
                        + "does here",
                    remedy: AdapterRemedy.resize(resize)))
        }
        return difference
    }
}

extension Checkpoint {
    /// The SHA-256 of each file of the weights, or of those that a base in a bundle was read from.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    fileprivate var weightDigests: [(name: String, sha256: String)] {
        get throws {
            if let origin { return origin.digests.filter { !$0.name.hasSuffix(".json") } }
            return try files.map { (SmallFiles.name(of: $0.path), try SHA256.text(ofFile: $0.path)) }
        }
    }

    /// The path and SHA-256 of a file of settings, or nil if there is none of that name.
    ///
    /// - Throws: `FileError` when it cannot be read.
    fileprivate func settingsDigest(_ name: String) throws -> (path: String, sha256: String)? {
        if let origin {
            return origin.digests.first { $0.name == name }.map { ("\(origin.folder)/\(name)", $0.sha256) }
        }
        let path = "\(folder)/\(name)"
        return access(path, F_OK) == 0 ? (path, try SHA256.text(ofFile: path)) : nil
    }
}

/// The names of bases, as far as they can be compared: hub names, paths of any machine, folders of the hub's cache.
enum BaseName {
    /// Folder names that say nothing of what is in them.
    private static let plain: Set<String> = [
        "base", "model", "models", "checkpoint", "checkpoints", "snapshot", "snapshots", "hub", "weights", "output",
        "outputs", "pretrained", "backbone", "encoder", "tmp", "main", "final", "best",
    ]

    /// The part of a name or path that tells models apart, or nil if nothing does.
    static func significant(_ text: String) -> String? {
        let parts = text.split { $0 == "/" || $0 == "\\" }.map(String.init)
        // The hub's cache: models--google--vit-base-patch16-224/snapshots/COMMIT
        if let cached = parts.last(where: { $0.hasPrefix("models--") }) {
            return cached.ranges(of: "--").last.map { cached[$0.upperBound...].lowercased() }
        }
        guard let last = parts.last?.lowercased(), last != ".", last != ".." else { return nil }
        let isCommit = last.utf8.count == 40 && last.allSatisfy(\.isHexDigit)
        var stem = Substring(last)
        while let end = stem.last, end.isNumber || "-_.".contains(end) { stem = stem.dropLast() }
        return isCommit || stem.isEmpty || plain.contains(String(stem)) ? nil : last
    }

    /// The recorded name and what the base is called, when neither its `config.json` nor its folder agrees; nil when
    /// nothing can be said.
    static func disagreement(_ recorded: String?, _ base: Checkpoint) -> BaseDifference.Name? {
        guard let recorded, let wanted = significant(recorded) else { return nil }
        let own = base.configurationFile.objectValue?["_name_or_path"]?.stringValue
        let folder = base.origin?.folder ?? base.folder
        let resolved = realpath(folder, nil).map { pointer in
            defer { free(pointer) }
            return String(cString: pointer)
        }
        let known = [own, folder, resolved].compactMap(\.self).filter { significant($0) != nil }
        guard let first = known.first, !known.contains(where: { significant($0) == wanted }) else { return nil }
        return .init(recorded: recorded, found: first)
    }
}
