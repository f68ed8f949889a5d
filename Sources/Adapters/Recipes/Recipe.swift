import Crypto
package import Files
import Synchronization
import Tensors
package import VisionTransformers

/// How a bundle came to be: everything that is needed to make it again, and to know that it is the same.
package enum Recipe {
    /// The recipe of a bundle: that of its first backbone with the adapters of all in the bundle's order.
    ///
    /// Backbones that were not all merged in one way are listed by group, as `groups`.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    static func json(_ groups: [MergedBackbone], order: [String], calibration: CalibrationRecord? = nil) throws -> JSON
    {
        guard let first = groups.first else { return .null }
        guard groups.count > 1 else { return .object(try json(first, calibration: calibration)) }
        let adapters = groups.flatMap(\.adapters)
        let sorted = order.flatMap { name in adapters.filter { $0.adapter.task == name } }
        let others = adapters.filter { !order.contains($0.adapter.task) }
        var recipe = try json(first, adapters: sorted + others, calibration: calibration)
        if groups.contains(where: { rule($0) != rule(first) }) {
            recipe["groups"] = .array(groups.map { .object(rule($0)) })
        }
        return .object(recipe)
    }

    private static func rule(_ merged: MergedBackbone) -> JSONObject {
        var object = MergeRule(merged.method, merged.settings).json
        object["start"] = merged.start.map { .object($0.json) }
        return object
    }

    /// The recipe of a merge, with the SHA-256 of every file that went into it.
    ///
    /// - Throws: `FileError` when a file cannot be read.
    static func json(
        _ merged: MergedBackbone, adapters: [WeightedAdapter]? = nil, calibration: CalibrationRecord? = nil
    ) throws -> JSONObject {
        let base = merged.base
        var recipe = rule(merged)
        recipe["base"] = .object(["path": .string(base.folder), "sha256": try FileDigest.byName(files(of: base))])
        recipe["adapters"] = .array(
            try (adapters ?? merged.adapters).map { item in
                var members: JSONObject = [
                    "name": .string(item.adapter.task),
                    "weight": .double(item.weight),
                    "path": .string(item.adapter.path),
                ]
                members["labels"] = item.adapter.labels.map(JSON.string)
                members["activation"] = item.adapter.givenActivation.map { .string($0.rawValue) }
                members["head"] = try item.adapter.headFile.map {
                    .object(["path": .string($0), "sha256": .string(try FileDigest.sha256($0))])
                }
                members["sha256"] = try FileDigest.byName(item.adapter.files)
                return .object(members)
            })
        recipe["calibration"] = calibration?.json
        return recipe
    }
}

extension MergeRule {
    /// The rule as recipes hold it.
    package var json: JSONObject {
        [
            "method": .string(method.name),
            "parameters": .object(
                method.parameters.reduce(into: JSONObject()) { $0[$1.name] = .double(settings[$1.name]) }),
            "seed": .number(String(settings.seed)),
        ]
    }
}

extension Recipe {
    /// The files of a base that a bundle is made of.
    package static func files(of base: Checkpoint) -> [String] {
        ["\(base.folder)/config.json"] + base.preprocessorPaths + base.files.map(\.path)
    }
}

/// Checksums of files.
package enum FileDigest {
    /// What was computed already, by path: a base is compared with what adapters were trained over, then stands in a recipe.
    private static let known = Mutex<[String: (identity: FileIdentity, digest: String)]>([:])

    /// The SHA-256 of a file's content as 64 hexadecimal digits. A file that has not changed is read once; of a
    /// large one, long work reports the MiB that are done.
    ///
    /// - Throws: `FileError` when the file cannot be read; `ToldToStop`.
    package static func sha256(_ path: String) throws -> String {
        let file = try MappedFile(path: path)
        if let entry = known.withLock({ $0[path] }), entry.identity == file.identity { return entry.digest }
        let block = 1 << 24
        var hash = SHA256()
        for start in stride(from: 0, to: file.bytes.count, by: block) {
            if file.bytes.count > 4 * block {
                try LongWork.report("hashing MiB", start >> 20, of: file.bytes.count >> 20)
            }
            let range = start..<min(start + block, file.bytes.count)
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: file.bytes[range]))
            file.release(range)
        }
        let digest = hexadecimal(hash.finalize())
        known.withLock { $0[path] = (file.identity, digest) }
        return digest
    }

    /// The SHA-256 of some bytes one after the other, as 64 hexadecimal digits.
    package static func sha256(_ parts: some Sequence<[UInt8]>) -> String {
        var hash = SHA256()
        for part in parts { hash.update(data: part) }
        return hexadecimal(hash.finalize())
    }

    /// The SHA-256 of bytes as 64 hexadecimal digits.
    package static func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef")
        return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    /// The SHA-256 of files, by the last part of their names.
    ///
    /// - Throws: `FileError` when a file cannot be read; `ToldToStop`.
    package static func byName(_ paths: [String]) throws -> JSON {
        var object = JSONObject()
        for path in paths {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            object[name] = .string(try sha256(path))
        }
        return .object(object)
    }
}
