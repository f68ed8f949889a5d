package import Files

/// What a run has written and what its rows depend on: a JSON file `NAME.manifest.json` beside the rows' file `NAME`.
///
/// By their manifests `gather` knows whether files are the parts of one run, whole and unchanged.
package struct RunManifest: Sendable, Equatable {
    /// The length and the digests of a rows' file.
    package struct Rows: Sendable, Equatable {
        /// The length of the file.
        package let bytes: Int
        /// How much of it comes before the first row.
        package let headerBytes: Int
        /// The SHA-256 of the file.
        package let digest: String
        /// Inputs whose row says why they have no labels.
        package let failed: Int
        /// Those with a task whose best answer is below the threshold.
        package let belowThreshold: Int

        /// What is known of a rows' file.
        package init(bytes: Int, headerBytes: Int, digest: String, failed: Int, belowThreshold: Int) {
            (self.bytes, self.headerBytes, self.digest) = (bytes, headerBytes, digest)
            (self.failed, self.belowThreshold) = (failed, belowThreshold)
        }
    }

    /// All that rows depend on but the inputs.
    package let settings: JSONObject
    /// Which part of the run it is, as it was asked for.
    package let shard: String
    /// How many inputs the whole run has.
    package let inputs: Int
    /// The `InputDigest` of the paths of the whole run's inputs.
    package let paths: String
    /// The numbers of the inputs whose rows these are.
    package let part: Range<Int>
    /// The rows.
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

    /// Where the manifest of a rows' file stands.
    package static func path(of rows: BytePath) -> BytePath { BytePath(rows.bytes + Array(".manifest.json".utf8)) }

    /// The manifest as a JSON text.
    package var text: String {
        JSON.object([
            "format": .string(RunManifest.formatName), "format_version": .int(RunManifest.formatVersion),
            "settings": .object(settings), "shard": .string(shard), "inputs": .int(inputs),
            "paths_sha256": .string(paths), "first": .int(part.lowerBound), "count": .int(part.count),
            "failed": .int(rows.failed), "below_threshold": .int(rows.belowThreshold), "bytes": .int(rows.bytes),
            "header_bytes": .int(rows.headerBytes), "rows_sha256": .string(rows.digest),
        ]).serialized() + "\n"
    }

    /// Writes the manifest beside a rows' file.
    ///
    /// - Throws: `OutputError.cannotWrite` when it cannot be written.
    package func write(beside rows: BytePath) throws(OutputError) {
        let file = try OutputFile.replacing(RunManifest.path(of: rows))
        try file.write(Array(text.utf8))
        try file.commit()
    }

    /// Reads the manifest of a rows' file.
    ///
    /// - Throws: `LabellingError.shards` when there is none, or what is there is not one.
    package init(beside rows: BytePath) throws(LabellingError) {
        let path = RunManifest.path(of: rows)
        var content: [UInt8] = []
        var reader = FileReader(limit: 1 << 24)
        do { try reader.read(path) { content = Array($0) } } catch {
            throw .shards("\(path): \(error); it is written beside the rows by label --shard")
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
