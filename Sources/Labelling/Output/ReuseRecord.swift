import Files

/// The record of the files of a run, by which a later run can take its rows: `.NAME.reuse` beside the rows `NAME`.
///
/// The file has 16 bytes of magic, an entry per input in the order of the rows (see `ReuseEntry`), a JSON object, and
/// the object's length in 8 little-endian bytes. The object comes last because it has the digests of all before it.
struct ReuseRecord {
    /// The journal's name for the entries.
    static let entriesName = "files"
    /// The first bytes of a record.
    static let magic = Array("mergevit-reuse1\n".utf8)
    private static let formatName = "mergevit-label-reuse"
    private static let formatVersion = 1

    /// Everything that the rows depend on except the inputs.
    let settings: JSONObject
    /// The number of inputs.
    let inputs: Int
    /// The number of bytes before the first row.
    let headerBytes: Int
    /// The SHA-256 of the file of rows.
    let rows: String
    /// The SHA-256 of the entries.
    let entries: String

    /// The path of the record of a file of rows.
    static func path(of rows: BytePath) -> BytePath { OutputPlace.hidden(beside: rows, adding: ".reuse") }

    /// The path of the record before the rows have their name.
    static func partialPath(of rows: BytePath) -> BytePath {
        OutputPlace.hidden(beside: rows, adding: ".reuse.partial")
    }

    /// The bytes after the entries.
    var trailer: [UInt8] {
        let object: JSONObject = [
            "format": .string(ReuseRecord.formatName), "format_version": .int(ReuseRecord.formatVersion),
            "settings": .object(settings), "inputs": .int(inputs), "header_bytes": .int(headerBytes),
            "rows_sha256": .string(rows), "entries_sha256": .string(entries),
        ]
        let text = Array(JSON.object(object).serialized(indented: false).utf8)
        return text + withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init)
    }

    /// A record with these members.
    init(settings: JSONObject, inputs: Int, headerBytes: Int, rows: String, entries: String) {
        (self.settings, self.inputs, self.headerBytes) = (settings, inputs, headerBytes)
        (self.rows, self.entries) = (rows, entries)
    }

    /// Reads the end of a record; nil when it is not the record of a whole run, or is of another version.
    init?(_ file: UnsafeRawBufferPointer) {
        let magic = ReuseRecord.magic.count
        guard file.count >= magic + 8, file.prefix(magic).elementsEqual(ReuseRecord.magic) else { return nil }
        let length = UInt64(littleEndian: file.loadUnaligned(fromByteOffset: file.count - 8, as: UInt64.self))
        guard length <= UInt64(file.count - magic - 8) else { return nil }
        let start = file.count - 8 - Int(length)
        guard let object = (try? JSON(parsing: Array(file[start..<(file.count - 8)])))?.objectValue,
            object["format"]?.stringValue == ReuseRecord.formatName,
            object["format_version"]?.intValue == ReuseRecord.formatVersion,
            let settings = object["settings"]?.objectValue, let inputs = object["inputs"]?.intValue, inputs >= 0,
            inputs <= file.count, magic + inputs * ReuseEntry.byteCount == start,
            let headerBytes = object["header_bytes"]?.intValue, headerBytes >= 0,
            let rows = object["rows_sha256"]?.stringValue, let entries = object["entries_sha256"]?.stringValue
        else { return nil }
        self.init(settings: settings, inputs: inputs, headerBytes: headerBytes, rows: rows, entries: entries)
    }

    /// The range of the entries in the file.
    var entryRange: Range<Int> {
        ReuseRecord.magic.count..<(ReuseRecord.magic.count + inputs * ReuseEntry.byteCount)
    }

    /// The file of a run's entries, to be written beside its rows.
    ///
    /// - Parameters:
    ///   - rows: the file of rows, at the end of any links.
    ///   - settings: everything that the rows depend on except the inputs.
    ///   - headerBytes: the number of bytes before the first row.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created.
    static func file(beside rows: BytePath, settings: JSONObject, headerBytes: Int) throws(OutputError) -> EntryFile {
        try EntryFile(
            entriesName, path: path(of: rows), partial: partialPath(of: rows), headerBytes: magic.count,
            entryBytes: ReuseEntry.byteCount
        ) { sum in
            let record = ReuseRecord(
                settings: settings, inputs: sum.entries, headerBytes: headerBytes, rows: sum.rows, entries: sum.digest)
            return (magic, record.trailer)
        }
    }
}
