import Files
import Glibc

/// The journal of a run: a small file of JSON lines beside the rows, by which a later run can resume.
///
/// The first line has the settings that the rows depend on; each further line is a `RunCheckpoint`. Every line has a
/// checksum, so that a line that was cut short or changed is detected; it and the lines after it are ignored. When the
/// file grows too long, it is replaced by one with every second checkpoint.
struct Journal: ~Copyable {
    private static let formatName = "mergevit-label"
    private static let formatVersion = 1
    /// The largest number of checkpoints in the file, about 1.5 MB of text.
    private static let maximumCheckpoints = 4096

    private let path: BytePath
    private let name: BytePath
    private let syncs: Bool
    private let header: [UInt8]
    private var checkpoints: [RunCheckpoint]
    private var descriptor: Int32 = -1

    /// Writes a journal with these checkpoints, replacing the file at `path`.
    ///
    /// - Parameters:
    ///   - name: the output's name, for errors.
    ///   - syncs: whether each line is synced before the next is written.
    /// - Throws: `OutputError.cannotWrite` when it cannot be written.
    init(
        replacing path: BytePath, name: BytePath, settings: JSONObject, checkpoints: [RunCheckpoint], syncs: Bool
    ) throws(OutputError) {
        self.path = path
        self.name = name
        self.syncs = syncs
        self.checkpoints = checkpoints
        header = Journal.line([
            "format": .string(Journal.formatName), "format_version": .int(Journal.formatVersion),
            "settings": .object(settings),
        ])
        try rewrite()
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Adds a checkpoint.
    ///
    /// - Throws: `OutputError.cannotWrite` when the disk refuses.
    mutating func append(_ checkpoint: RunCheckpoint) throws(OutputError) {
        checkpoints.append(checkpoint)
        if checkpoints.count > Journal.maximumCheckpoints {
            let last = checkpoints.count - 1
            checkpoints = checkpoints.indices.filter { $0 % 2 == 1 || $0 == last }.map { checkpoints[$0] }
            return try rewrite()
        }
        try write(Journal.line(checkpoint.object), to: descriptor)
    }

    private mutating func rewrite() throws(OutputError) {
        let new = BytePath(path.bytes + Array(".new".utf8))
        let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW
        let opened = new.withCString { open($0, flags, 0o666) }
        guard opened >= 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
        do throws(OutputError) {
            try write(header + checkpoints.flatMap { Journal.line($0.object) }, to: opened)
            if let code = FileWriting.rename(new, to: path, syncs: syncs) {
                throw .cannotWrite(path: name, reason: systemReason(code))
            }
        } catch {
            close(opened)
            _ = new.withCString { unlink($0) }
            throw error
        }
        if descriptor >= 0 { close(descriptor) }
        descriptor = opened
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) throws(OutputError) {
        try bytes.withUnsafeBufferPointer { bytes throws(OutputError) in
            try FileWriting.writeAll(UnsafeRawBufferPointer(bytes), to: descriptor, name: name)
        }
        guard !syncs || fdatasync(descriptor) == 0 else { throw .cannotWrite(path: name, reason: systemReason(errno)) }
    }

    // MARK: Lines

    /// The content of a journal.
    struct Content {
        let settings: JSONObject
        let checkpoints: [RunCheckpoint]
    }

    /// Reads a journal; returns nil when its first line is damaged or of another version.
    static func read(_ path: BytePath) -> Content? {
        var content: [UInt8] = []
        var reader = FileReader(limit: 1 << 28)
        guard (try? reader.read(path, { content = Array($0) })) != nil else { return nil }
        var objects: [JSONObject] = []
        for line in content.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() {
            guard let object = object(Array(line)) else { break }
            objects.append(object)
        }
        guard let first = objects.first, first["format"]?.stringValue == formatName,
            first["format_version"]?.intValue == formatVersion, let settings = first["settings"]?.objectValue
        else { return nil }
        return Content(settings: settings, checkpoints: objects.dropFirst().compactMap(RunCheckpoint.init))
    }

    /// A line with its checksum.
    private static func line(_ object: JSONObject) -> [UInt8] {
        var object = object
        object["sum"] = .string(sum(object))
        return Array((JSON.object(object).serialized(indented: false) + "\n").utf8)
    }

    /// The object of a line; nil if its checksum is wrong.
    private static func object(_ line: [UInt8]) -> JSONObject? {
        guard var object = (try? JSON(parsing: line))?.objectValue, let checksum = object["sum"]?.stringValue else {
            return nil
        }
        object["sum"] = nil
        return sum(object) == checksum ? object : nil
    }

    private static func sum(_ object: JSONObject) -> String {
        var digest = SHA256()
        Array(JSON.object(object).serialized(indented: false).utf8).withUnsafeBytes { digest.add($0) }
        return String(digest.text.prefix(16))
    }
}
