package import Files

/// A safetensors file, memory-mapped, its header checked before anything is used.
///
/// Format: an unsigned 64-bit little-endian header length, that many bytes of JSON, then the data. The header maps
/// names to `{"dtype", "shape", "data_offsets"}`. Invalid and hostile files are rejected: lengths beyond the file,
/// shapes that overflow, offsets that overlap or leave gaps, duplicate names, unknown element types.
package final class SafetensorsFile: TensorFile {
    /// One tensor as the header describes it.
    package typealias Entry = TensorEntry

    /// The longest header accepted, as in the format's reference implementation.
    package static let maximumHeaderLength = 100_000_000

    /// The mapped file.
    package let file: MappedFile
    /// The tensors in the order of their data.
    package let entries: [Entry]
    /// The `__metadata__` of the header.
    package let metadata: [String: String]
    private let indices: [String: Int]

    /// Maps a file and checks its header.
    ///
    /// - Throws: `FileError` naming the tensor and what is wrong with it.
    package init(path: String) throws(FileError) {
        let file = try MappedFile(path: path)
        do {
            (entries, metadata) = try SafetensorsFile.parse(file.bytes)
        } catch {
            throw FileError(path: path, reason: error.reason)
        }
        self.file = file
        indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    }

    /// The description of a tensor, or nil if there is none of that name.
    package func entry(_ name: String) -> Entry? { indices[name].map { entries[$0] } }

    private struct HeaderError: Error { let reason: String }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer
    ) throws(HeaderError) -> (entries: [Entry], metadata: [String: String]) {
        if let kind = ForeignFile.description(bytes) {
            throw HeaderError(reason: "not a safetensors file: it is \(kind)")
        }
        guard bytes.count >= 8 else {
            throw HeaderError(reason: "not a safetensors file: \(bytes.count) bytes are too few")
        }
        let declared = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard declared <= UInt64(maximumHeaderLength), Int(declared) <= bytes.count - 8 else {
            throw HeaderError(
                reason: "not a safetensors file, or cut short: header of \(declared) bytes in a file of \(bytes.count)")
        }
        let start = 8 + Int(declared)
        let header: JSON
        do { header = try JSON(parsing: UnsafeRawBufferPointer(rebasing: bytes[8..<start])) } catch {
            throw HeaderError(reason: "safetensors header is not valid JSON: \(error)")
        }
        guard let object = header.objectValue else {
            throw HeaderError(reason: "safetensors header: expected an object, found \(header.kind)")
        }
        var entries: [Entry] = []
        var metadata: [String: String] = [:]
        for (name, value) in object.members {
            if name == "__metadata__" {
                guard let members = value.objectValue?.members else {
                    throw HeaderError(reason: "__metadata__: expected an object, found \(value.kind)")
                }
                for (key, value) in members { metadata[key] = value.stringValue }
            } else {
                entries.append(try entry(name, value, dataStart: start, fileSize: bytes.count))
            }
        }
        entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        var end = start
        for entry in entries {
            guard entry.range.lowerBound == end else {
                let problem = entry.range.lowerBound < end ? "overlaps the one before it" : "leaves a gap before it"
                throw HeaderError(reason: "tensor \"\(entry.name)\": data \(problem)")
            }
            end = entry.range.upperBound
        }
        guard end == bytes.count else {
            throw HeaderError(reason: "data ends at byte \(end), the file at \(bytes.count)")
        }
        return (entries, metadata)
    }

    private static func entry(
        _ name: String, _ value: JSON, dataStart: Int, fileSize: Int
    ) throws(HeaderError) -> Entry {
        func failure(_ reason: String) -> HeaderError { HeaderError(reason: "tensor \"\(name)\": \(reason)") }
        guard let object = value.objectValue else { throw failure("expected an object, found \(value.kind)") }
        for key in object.keys where !["dtype", "shape", "data_offsets"].contains(key) {
            throw failure("unknown key \"\(key)\"")
        }
        guard let typeName = object["dtype"]?.stringValue else { throw failure("no dtype") }
        guard let type = ElementType(rawValue: typeName) else { throw failure("unknown dtype \"\(typeName)\"") }
        guard let extents = object["shape"]?.arrayValue else { throw failure("no shape") }
        var shape: [Int] = []
        var size = type.size
        for extent in extents {
            guard let extent = extent.intValue, extent >= 0 else { throw failure("shape that is not whole numbers") }
            shape.append(extent)
            let (product, overflow) = size.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw failure("shape \(shape) overflows") }
            size = product
        }
        guard let offsets = object["data_offsets"]?.arrayValue, offsets.count == 2,
            let lower = offsets[0].intValue, let upper = offsets[1].intValue
        else { throw failure("data_offsets: expected two whole numbers") }
        guard lower >= 0, lower <= upper, upper <= fileSize - dataStart else {
            throw failure("data_offsets [\(lower), \(upper)] outside the \(fileSize - dataStart) bytes of data")
        }
        guard upper - lower == size else {
            throw failure("shape \(shape) of \(typeName) takes \(size) bytes, data_offsets give \(upper - lower)")
        }
        return Entry(name: name, type: type, shape: shape, range: dataStart + lower..<dataStart + upper)
    }
}
