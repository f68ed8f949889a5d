package import Files

/// A tensor in a file: its name, and where and how its elements are stored.
package struct TensorEntry: Sendable, Equatable {
    /// The tensor's name.
    package let name: String
    /// The type of its elements.
    package let type: ElementType
    /// The extents, outermost first.
    package let shape: [Int]
    /// The bytes of the file from the first element to the last.
    package let range: Range<Int>
    /// The distance of neighbours along each dimension, in elements; nil when they are dense, the last dimension
    /// fastest.
    package let strides: [Int]?

    init(name: String, type: ElementType, shape: [Int], range: Range<Int>, strides: [Int]? = nil) {
        (self.name, self.type, self.shape, self.range, self.strides) = (name, type, shape, range, strides)
    }
}

/// A mapped file of named tensors, safetensors or written by `torch.save`.
package protocol TensorFile: AnyObject, Sendable {
    /// The mapped file.
    var file: MappedFile { get }
    /// The tensors in the order of the file.
    var entries: [TensorEntry] { get }
    /// The description of a tensor, or nil if there is none of that name.
    func entry(_ name: String) -> TensorEntry?
}

extension TensorFile {
    /// The path of the file.
    package var path: String { file.path }

    /// The stored bytes of a tensor, from its first element to its last. Valid while this object lives.
    package func bytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    }

    /// A tensor's elements as 32-bit floats, the last dimension fastest.
    ///
    /// - Throws: `FileError` when there is no such tensor or its elements are not floating-point numbers.
    package func tensor(_ name: String) throws(FileError) -> Tensor {
        guard let entry = entry(name) else { throw FileError(path: path, reason: "no tensor \"\(name)\"") }
        let values = entry.strides.map { strides in
            Self.dense(bytes(of: entry), entry, strides).withUnsafeBytes { entry.type.floats(from: $0) }
        }
        guard let values = values ?? entry.type.floats(from: bytes(of: entry)) else {
            throw FileError(
                path: path, reason: "tensor \"\(name)\": expected F32, F16, BF16 or F64, found \(entry.type.rawValue)")
        }
        return Tensor(shape: entry.shape, values: values)
    }

    /// The bytes of strided elements, made dense.
    private static func dense(_ bytes: UnsafeRawBufferPointer, _ entry: TensorEntry, _ strides: [Int]) -> [UInt8] {
        let size = entry.type.size
        let count = entry.shape.reduce(size, *)
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var index = [Int](repeating: 0, count: entry.shape.count)
            var source = 0
            for target in stride(from: 0, to: count, by: size) {
                for byte in 0..<size { buffer.initializeElement(at: target + byte, to: bytes[source * size + byte]) }
                var dimension = entry.shape.count - 1
                while dimension >= 0 {
                    index[dimension] += 1
                    source += strides[dimension]
                    if index[dimension] < entry.shape[dimension] { break }
                    source -= strides[dimension] * entry.shape[dimension]
                    index[dimension] = 0
                    dimension -= 1
                }
            }
            initialized = count
        }
    }
}

/// Opens files of tensors of either format.
package enum TensorFiles {
    /// The file name endings of the format of `torch.save`.
    package static let pickledEndings = [".bin", ".pt", ".pth"]

    /// Whether a path has the ending of a file of tensors.
    package static func hasEnding(_ path: String) -> Bool {
        path.hasSuffix(".safetensors") || pickledEndings.contains(where: path.hasSuffix)
    }

    /// Opens a file by the ending of its name: `.bin`, `.pt` and `.pth` in the format of `torch.save`, others as
    /// safetensors.
    ///
    /// - Throws: `FileError` when the file is invalid.
    package static func open(_ path: String) throws(FileError) -> any TensorFile {
        if pickledEndings.contains(where: path.hasSuffix) { return try PickledTensorsFile(path: path) }
        return try SafetensorsFile(path: path)
    }
}

/// Files of other formats where tensors are expected.
enum ForeignFile {
    /// The kind of a file by its first bytes, for messages; nil when it is not a common one.
    static func description(_ bytes: UnsafeRawBufferPointer) -> String? {
        func starts(_ text: String) -> Bool { bytes.starts(with: text.utf8) }
        if starts("version https://git-lfs.github.com/") {
            return "a pointer of Git LFS in place of the file itself; fetch it with: git lfs pull"
        }
        if starts("<!DOCTYPE") || starts("<!doctype") || starts("<html") {
            return "a web page; download the file again"
        }
        if starts("PK\u{3}\u{4}") { return "a zip archive, as torch.save writes; give its name the ending .bin" }
        return nil
    }
}
