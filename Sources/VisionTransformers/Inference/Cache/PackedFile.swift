import Compute
import Files
import Glibc
import Tensors

/// The file of packed weights: a safetensors file whose tensors are the buffers' bytes, each aligned to a cache line,
/// so that kernels read them from the mapped file. Its metadata say what they were made of, with a checksum of each
/// buffer.
///
/// The file is not trusted: its header is checked as in any safetensors file, its bytes by their checksums, and the
/// size of each buffer against its kernel. A file that does not fit counts as missing.
struct PackedFile: Sendable {
    /// What packed weights depend on.
    struct Key: Sendable, Equatable {
        /// The program and the model's files.
        var model: String
        /// How the weights are packed: precision, shapes, layouts, machine.
        var plan: String
    }

    /// The version of the format, including the names and the meaning of buffers.
    static let version = 1
    /// The alignment of buffers in bytes: a cache line.
    static let alignment = 64
    /// The alignment of the data in bytes: a page of memory.
    private static let page = 4096

    // MARK: Reading

    /// Maps a file's weights if they have the given key and are undamaged; reads all bytes once, on the pool's threads.
    ///
    /// - Parameter isTrusted: whether a file's owner may be trusted.
    static func read(
        _ path: String, _ key: Key, _ pool: WorkerPool, isTrusted: (FileStatus) -> Bool
    ) -> PackedWeights? {
        guard let file = try? SafetensorsFile(path: path), isTrusted(file.file.identity), self.key(of: file) == key
        else { return nil }
        let contents = (file.metadata["contents"] ?? "").split(separator: "\n").map(Content.init)
        guard contents.count == file.entries.count else { return nil }
        let mapped = try? pool.map(contents.count) { index -> FloatBuffer? in
            let (entry, content) = (file.entries[index], contents[index])
            guard let content, entry.range.count == padded(content.byteCount),
                checksum(file.bytes(of: entry)) == content.checksum
            else { return nil }
            let start = entry.range.lowerBound
            return FloatBuffer(viewing: file.file, start..<start + content.byteCount)
        }
        guard let buffers = mapped?.compactMap(\.self), buffers.count == contents.count else { return nil }
        return PackedWeights(Dictionary(uniqueKeysWithValues: zip(file.entries.map(\.name), buffers)))
    }

    /// The key of a file; nil when it is not a file of packed weights.
    static func key(of file: SafetensorsFile) -> Key? {
        guard file.metadata["format"] == "mergevit-packed-\(version)", let model = file.metadata["model"],
            let plan = file.metadata["plan"]
        else { return nil }
        return Key(model: model, plan: plan)
    }

    /// The size and checksum of a buffer in the metadata.
    private struct Content {
        let byteCount: Int
        let checksum: UInt64

        init?(_ line: Substring) {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let byteCount = Int(parts[0]), byteCount >= 0, byteCount < 1 << 48,
                let checksum = UInt64(parts[1], radix: 16)
            else { return nil }
            (self.byteCount, self.checksum) = (byteCount, checksum)
        }
    }

    // MARK: Writing

    /// The weights in the order of their names.
    private let buffers: [(name: String, buffer: FloatBuffer)]
    private let key: Key

    /// A file to be written.
    init(_ packed: PackedWeights, _ key: Key) {
        buffers = packed.buffers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        self.key = key
    }

    /// The size of the file without its header, in bytes.
    var byteCount: Int { buffers.reduce(0) { $0 + Self.padded($1.buffer.bytes.count) } }

    /// Passes the file on, piece by piece in order.
    ///
    /// - Parameter write: takes a piece; false ends it.
    /// - Returns: whether all pieces were taken.
    func forEachPiece(_ write: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        let zeros = [UInt8](repeating: 0, count: Self.alignment)
        guard header().withUnsafeBytes(write) else { return false }
        for (_, buffer) in buffers {
            let bytes = buffer.bytes
            let padding = Self.padded(bytes.count) - bytes.count
            guard write(bytes), padding == 0 || zeros.withUnsafeBytes({ write(.init(rebasing: $0[..<padding])) })
            else { return false }
        }
        return true
    }

    /// The header, padded so that the data begin on a page.
    private func header() -> [UInt8] {
        let contents = buffers.map { _, buffer in
            let sum = Self.paddedChecksum(buffer.bytes)
            return "\(buffer.bytes.count) \(String(sum, radix: 16))"
        }
        var header: JSONObject = [
            "__metadata__": .object([
                "format": .string("mergevit-packed-\(Self.version)"), "model": .string(key.model),
                "plan": .string(key.plan), "contents": .string(contents.joined(separator: "\n")),
            ])
        ]
        var offset = 0
        for (name, buffer) in buffers {
            let size = Self.padded(buffer.bytes.count)
            header[name] = .object([
                "dtype": .string(ElementType.uint8.rawValue), "shape": .array([.int(size)]),
                "data_offsets": .array([.int(offset), .int(offset + size)]),
            ])
            offset += size
        }
        var text = Array(JSON.object(header).serialized(indented: false).utf8)
        let end = (8 + text.count + Self.page - 1) / Self.page * Self.page
        text += [UInt8](repeating: 0x20, count: end - 8 - text.count)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }

    /// The checksum of bytes with the zeros that follow them in the file.
    private static func paddedChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let padding = padded(bytes.count) - bytes.count
        guard padding > 0 else { return checksum(bytes) }
        let whole = Array(bytes) + [UInt8](repeating: 0, count: padding)
        return whole.withUnsafeBytes { checksum($0) }
    }

    private static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }
}
