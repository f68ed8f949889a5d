package import Files
import Glibc

/// Writes a safetensors file one tensor at a time, so that a whole checkpoint never has to be in memory.
///
/// Names and shapes are declared first, because the header comes first; then the tensors are appended in that order.
/// The same tensors give the same bytes.
package final class SafetensorsWriter {
    /// The name, type and shape of a tensor to be written.
    package struct Declaration: Sendable, Equatable {
        /// The tensor's name.
        package let name: String
        /// The type of its elements.
        package let type: ElementType
        /// The extents, outermost first.
        package let shape: [Int]

        /// Declares a tensor; of 32-bit floats unless specified.
        package init(name: String, type: ElementType = .float32, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }

        var byteCount: Int { shape.reduce(type.size, *) }
    }

    private let path: String
    private let descriptor: Int32
    private let declarations: [Declaration]
    private var next = 0

    /// Creates the file and writes its header.
    ///
    /// - Throws: `FileError` when the file cannot be written.
    package init(
        path: String, declarations: [Declaration], metadata: [String: String] = ["format": "pt"]
    ) throws(FileError) {
        var header = JSONObject()
        header["__metadata__"] = .object(
            metadata.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
        var offset = 0
        for declaration in declarations {
            header[declaration.name] = .object([
                "dtype": .string(declaration.type.rawValue),
                "shape": .array(declaration.shape.map(JSON.int)),
                "data_offsets": .array([.int(offset), .int(offset + declaration.byteCount)]),
            ])
            offset += declaration.byteCount
        }
        var text = Array(JSON.object(header).serialized(indented: false).utf8)
        text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
        let opened = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard opened >= 0 else { throw FileError(path: path) }
        self.path = path
        self.declarations = declarations
        descriptor = opened
        let prefix = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
        try SmallFiles.append(prefix, to: opened, path)
    }

    deinit { close(descriptor) }

    /// Appends the bytes of the next declared tensor.
    ///
    /// - Throws: `FileError` when the tensor is not the next one or the disk refuses.
    package func append(_ name: String, bytes: UnsafeRawBufferPointer) throws(FileError) {
        guard next < declarations.count, declarations[next].name == name,
            declarations[next].byteCount == bytes.count
        else { throw FileError(path: path, reason: "tensor \"\(name)\" written out of its declared place") }
        if let failure = FileWriting.writeAll(bytes, to: descriptor) {
            throw FileError(path: path, reason: systemReason(failure))
        }
        next += 1
    }

    /// Appends the next declared tensor from 32-bit floats.
    ///
    /// - Throws: `FileError` as `append(_:bytes:)` does.
    package func append(_ name: String, _ tensor: Tensor) throws(FileError) {
        var failure: FileError?
        tensor.values.withUnsafeBytes { bytes in
            do throws(FileError) { try append(name, bytes: bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Flushes the file to the disk.
    ///
    /// - Throws: `FileError` when a declared tensor is missing or the disk refuses.
    package func finish() throws(FileError) {
        guard next == declarations.count else {
            throw FileError(path: path, reason: "tensor \"\(declarations[next].name)\" was not written")
        }
        guard fsync(descriptor) == 0 else {
            throw FileError(path: path)
        }
    }
}

/// Writes a few tensors to a safetensors file in one call.
///
/// - Throws: `FileError` when the file cannot be written.
package func writeSafetensors(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws(FileError) {
    let writer = try SafetensorsWriter(
        path: path, declarations: tensors.map { .init(name: $0.name, shape: $0.tensor.shape) })
    for (name, tensor) in tensors { try writer.append(name, tensor) }
    try writer.finish()
}
