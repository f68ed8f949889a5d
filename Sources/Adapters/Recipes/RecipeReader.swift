import Files
import Glibc
import Tensors
import VisionTransformers

/// Typed access to a recipe on disk.
struct RecipeReader {
    /// The file that the recipe is in.
    let path: String

    /// The recipe in a manifest, and the bundle's groups of tasks if it has any.
    func recipe() throws -> (recipe: JSONObject, groups: [[String]]?) {
        guard let manifest = try JSON(contentsOf: path).objectValue else {
            throw ModelError(path, "expected an object")
        }
        let isGrouped = manifest["groups"] != nil
        let formats = [
            "mergevit-bundle": [
                isGrouped ? ModelBundle.groupedFormatVersion : ModelBundle.formatVersion,
                ModelBundle.activationFormatVersion,
            ],
            "mergevit-adapter": [1],
        ]
        let format = manifest["format"]?.stringValue ?? "none"
        guard let versions = formats[format] else {
            throw ModelError(
                path, "format: expected \(formats.keys.sorted().joined(separator: " or ")), found \(format)")
        }
        guard let version = manifest["format_version"]?.intValue, versions.contains(version) else {
            let expected = versions.map(String.init).joined(separator: " or ")
            let found = manifest["format_version"]?.serialized(indented: false) ?? "none"
            throw ModelError(path, "format_version: expected \(expected), found \(found)")
        }
        let keys: Set<String> = ["format", "format_version", "tasks", "groups", "resize", "recipe"]
        try check(manifest, has: keys, in: "the manifest")
        let groups = try manifest["groups"].map { value in
            guard let groups = value.arrayValue?.map({ $0.arrayValue?.compactMap(\.stringValue) ?? [] }) else {
                throw ModelError(path, "groups: expected lists of tasks")
            }
            return groups
        }
        return (try object(manifest, "recipe", in: "the manifest"), groups)
    }

    /// The method and its settings in a recipe, or in one of a recipe's groups.
    func rule(_ object: JSONObject) throws -> MergeRule {
        let name = try text(object, "method", in: "recipe")
        guard let method = MergeMethod.named(name) else {
            throw ModelError(path, "recipe: method \"\(name)\" is not known")
        }
        var values: [String: Double] = [:]
        for (name, value) in try self.object(object, "parameters", in: "recipe").members {
            guard let number = value.doubleValue else {
                throw ModelError(path, "parameters: \(name): expected a number")
            }
            values[name] = number
        }
        guard case .number(let digits) = object["seed"] ?? .number("0"), let seed = UInt64(digits) else {
            throw ModelError(path, "seed: expected a whole number")
        }
        do { return MergeRule(method, try MergeSettings(values, for: method, seed: seed)) } catch {
            throw ModelError(path, "parameters: \(error)")
        }
    }

    /// Refuses members that this version does not know.
    func check(_ object: JSONObject, has known: Set<String>, in place: String) throws {
        if let unknown = object.keys.first(where: { !known.contains($0) }) {
            throw ModelError(path, "\(place): \"\(unknown)\" is not known to this version")
        }
    }

    func object(_ object: JSONObject, _ key: String, in place: String) throws -> JSONObject {
        guard let value = object[key]?.objectValue else { throw ModelError(path, "\(place): no \"\(key)\" object") }
        return value
    }

    func text(_ object: JSONObject, _ key: String, in place: String) throws -> String {
        guard let value = object[key]?.stringValue else { throw ModelError(path, "\(place): no \"\(key)\" string") }
        return value
    }

    /// The files of an object with `path` and `sha256`.
    func files(_ object: JSONObject, in place: String) throws -> RecordedMerge.Files {
        let digests = try self.object(object, "sha256", in: place).members.map { name, value in
            guard let digest = value.stringValue else { throw ModelError(path, "\(place): sha256: expected strings") }
            guard !name.isEmpty, !name.contains("/"), !name.contains("\0") else {
                throw ModelError(path, "\(place): sha256: \"\(name)\" is no file's name")
            }
            return (name, digest)
        }
        guard !digests.isEmpty else { throw ModelError(path, "\(place): sha256: no files") }
        return RecordedMerge.Files(path: try text(object, "path", in: place), digests: digests)
    }

    /// The last part of a path.
    static func lastPart(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Where a file of an adapter is: in its folder, or beside it if it is a file itself.
    static func place(of name: String, in adapter: String) -> String {
        var status = stat()
        if stat(adapter, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
            if name == lastPart(adapter) || TensorFiles.hasEnding(name) { return adapter }
            return "\(SmallFiles.folder(of: adapter))/\(name)"
        }
        return "\(adapter)/\(name)"
    }
}
