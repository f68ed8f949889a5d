package import Files

/// A description of the rows of a run and of everything they depend on, in a JSON file `NAME.manifest.json` beside
/// `NAME`.
///
/// `GatheredShards` reads it to check that files are the whole and unchanged parts of one run.
package struct RunManifest: Sendable, Equatable {
    /// The length, the digest and the counts of a file of rows.
    package struct Rows: Sendable, Equatable {
        /// The length of the file in bytes.
        package let bytes: Int
        /// The number of bytes before the first row.
        package let headerBytes: Int
        /// The SHA-256 of the file, in hexadecimal.
        package let digest: String
        /// Inputs whose row gives the reason why they have no labels.
        package let failed: Int
        /// Inputs with a task whose best class is below the threshold.
        package let belowThreshold: Int

        /// A description of a file of rows.
        package init(bytes: Int, headerBytes: Int, digest: String, failed: Int, belowThreshold: Int) {
            (self.bytes, self.headerBytes, self.digest) = (bytes, headerBytes, digest)
            (self.failed, self.belowThreshold) = (failed, belowThreshold)
        }
    }

    /// Everything that the rows depend on except the inputs.
    package let settings: JSONObject
    /// The part of the run, as the user specified it.
    package let shard: String
    /// The number of inputs of the whole run.
    package let inputs: Int
    /// The `InputDigest` of the inputs of the whole run.
    package let paths: String
    /// The numbers of the inputs whose rows these are, from 0.
    package let part: Range<Int>
    /// The file of rows.
    package let rows: Rows

    private static let formatName = "mergevit-label-manifest"
    private static let formatVersion = 1

    /// The manifest of a whole run or one of its parts.
    package init(
        settings: JSONObject, shard: String, inputs: Int, paths: String, part: Range<Int>, rows: Rows
    ) {
        (self.settings, self.shard, self.inputs, self.paths) = (settings, shard, inputs, paths)
        (self.part, self.rows) = (part, rows)
    }

    /// The path of the manifest of a file of rows.
    package static func path(of rows: BytePath) -> BytePath { BytePath(rows.bytes + Array(".manifest.json".utf8)) }

    /// The manifest as a JSON text.
    var text: String {
        JSON.object([
            "format": .string(RunManifest.formatName), "format_version": .int(RunManifest.formatVersion),
            "settings": .object(settings), "shard": .string(shard), "inputs": .int(inputs),
            "paths_sha256": .string(paths), "first": .int(part.lowerBound), "count": .int(part.count),
            "failed": .int(rows.failed), "below_threshold": .int(rows.belowThreshold), "bytes": .int(rows.bytes),
            "header_bytes": .int(rows.headerBytes), "rows_sha256": .string(rows.digest),
        ]).serialized() + "\n"
    }

    /// Writes the manifest beside a file of rows.
    ///
    /// - Throws: `OutputError.cannotWrite` when it cannot be written.
    package func write(beside rows: BytePath) throws(OutputError) {
        let file = try OutputFile.replacing(RunManifest.path(of: rows))
        try file.write(Array(text.utf8))
        try file.commit()
    }

    /// Reads the manifest of a file of rows.
    ///
    /// - Throws: `LabellingError.manifest` when it cannot be read, `LabellingError.shards` when it is invalid.
    init(beside rows: BytePath) throws(LabellingError) {
        let path = RunManifest.path(of: rows)
        var content: [UInt8] = []
        var reader = FileReader(limit: 1 << 24)
        do { try reader.read(path) { content = Array($0) } } catch {
            throw .manifest(path: path, reason: "\(error)")
        }
        func refusal(_ what: String) -> LabellingError {
            .shards("\(path): not the manifest of a run of this version: \(what)")
        }
        let object: JSONObject
        do { object = try JSON(parsing: content).objectValue ?? [:] } catch { throw refusal("\(error)") }
        guard object["format"]?.stringValue == RunManifest.formatName,
            object["format_version"]?.intValue == RunManifest.formatVersion
        else {
            throw refusal("expected \"format\": \"\(RunManifest.formatName)\", version \(RunManifest.formatVersion)")
        }
        func number(_ key: String) throws(LabellingError) -> Int {
            guard let value = object[key]?.intValue, (0..<(1 << 53)).contains(value) else {
                throw refusal("expected a number \"\(key)\"")
            }
            return value
        }
        func string(_ key: String) throws(LabellingError) -> String {
            guard let value = object[key]?.stringValue else { throw refusal("expected a text \"\(key)\"") }
            return value
        }
        guard let settings = object["settings"]?.objectValue else { throw refusal("expected \"settings\"") }
        let first = try number("first")
        self.init(
            settings: settings, shard: try string("shard"), inputs: try number("inputs"),
            paths: try string("paths_sha256"), part: first..<(first + (try number("count"))),
            rows: Rows(
                bytes: try number("bytes"), headerBytes: try number("header_bytes"), digest: try string("rows_sha256"),
                failed: try number("failed"), belowThreshold: try number("below_threshold")))
        guard part.upperBound <= inputs else { throw refusal("it has more inputs than the whole run") }
        guard self.rows.headerBytes <= self.rows.bytes else { throw refusal("its header is longer than the file") }
    }
}
