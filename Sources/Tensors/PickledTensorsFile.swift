package import Files

/// A file that `torch.save` wrote: `adapter_model.bin`, `pytorch_model.bin`. It is memory-mapped, and nothing in it is
/// executed.
///
/// Format: a zip archive of stored members: `NAME/data.pkl`, a pickle that describes the tensors, and `NAME/data/KEY`,
/// the elements of each storage. A tensor is a view of a storage: an offset, extents, and strides. Several may share
/// one storage. All checksums are verified; anything outside the file or its storage, of an unknown type, or not a
/// tensor is rejected.
package final class PickledTensorsFile: TensorFile {
    /// The mapped file.
    package let file: MappedFile
    /// The tensors in the order of the pickle.
    package let entries: [TensorEntry]
    private let indices: [String: Int]

    /// Maps a file, checks it, and reads the descriptions of its tensors.
    ///
    /// - Throws: `FileError` naming the tensor, or the content that no tensor needs.
    package init(path: String) throws(FileError) {
        let file = try MappedFile(path: path)
        do { entries = try Self.parse(file) } catch { throw FileError(path: path, reason: error.reason) }
        self.file = file
        indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    }

    /// The description of a tensor, or nil if there is none of that name.
    package func entry(_ name: String) -> TensorEntry? { indices[name].map { entries[$0] } }

    private struct Failure: Error { let reason: String }

    /// The advice about a file with more than weights.
    static let advice = "save the weights alone: torch.save(model.state_dict(), FILE)"

    private static func parse(_ file: MappedFile) throws(Failure) -> [TensorEntry] {
        if let other = otherFormat(file) { throw Failure(reason: other) }
        let archive: ZipArchive
        do { archive = try ZipArchive(file.bytes) } catch { throw Failure(reason: error.reason) }
        let members = Dictionary(uniqueKeysWithValues: archive.members.map { ($0.name, $0.range) })
        let pickles = archive.members.filter { $0.name.hasSuffix("/data.pkl") }
        guard pickles.count == 1, let pickle = pickles.first else {
            throw Failure(
                reason: "a zip archive with \(pickles.count) members */data.pkl, expected 1 as torch.save writes")
        }
        let folder = pickle.name.dropLast("data.pkl".count)
        guard members[folder + "constants.pkl"] == nil else {
            throw Failure(reason: "a TorchScript program; \(advice)")
        }
        if let order = members[folder + "byteorder"], !file.bytes[order].elementsEqual("little".utf8) {
            throw Failure(reason: "its numbers are not little-endian: save it again on an ordinary machine")
        }
        let reader: PickleReader
        let value: PickleValue
        do { (reader, value) = try PickleReader.read(UnsafeRawBufferPointer(rebasing: file.bytes[pickle.range])) } catch
        {
            throw Failure(reason: error.reason)
        }
        return try entries(weights(reader, value), reader, limit: file.bytes.count) { members["\(folder)data/\($0)"] }
    }

    /// The dictionary of tensors by name: the value itself, or its only member that is a dictionary of tensors.
    private static func weights(
        _ reader: PickleReader, _ value: PickleValue
    ) throws(Failure) -> [(key: PickleValue, value: PickleValue)] {
        guard let members = reader.dictionary(value) else {
            throw Failure(reason: "expected a dictionary of tensors by name, as model.state_dict() gives")
        }
        if members.isEmpty || members.contains(where: { reader.tensor($0.value) != nil }) { return members }
        let inner = members.filter { member in
            reader.dictionary(member.value)?.contains { reader.tensor($0.value) != nil } == true
        }
        guard inner.count == 1, let only = reader.dictionary(inner[0].value) else {
            let names = inner.map { name($0.key) }.joined(separator: ", ")
            throw Failure(
                reason: inner.isEmpty
                    ? "holds no tensors by name"
                    : "holds several sets of weights (\(names)); save the one that is meant alone")
        }
        return only
    }

    private static func name(_ key: PickleValue) -> String {
        switch key {
        case .text(let text): "\"\(text)\""
        case .int(let number): "\(number)"
        default: "a key that is no name"
        }
    }

    /// Tensors that take more than this many times the file's bytes are rejected: views of few elements can claim any
    /// size.
    private static let maximumGrowth = 8
    private static let freeGrowth = 1 << 24

    private static func entries(
        _ members: [(key: PickleValue, value: PickleValue)], _ reader: PickleReader, limit: Int,
        _ storage: (String) -> Range<Int>?
    ) throws(Failure) -> [TensorEntry] {
        var entries: [TensorEntry] = []
        var names: Set<String> = []
        var total = 0
        for (key, value) in members {
            guard case .text(let name) = key else { throw Failure(reason: "a tensor whose name is \(Self.name(key))") }
            guard names.insert(name).inserted else { throw Failure(reason: "a second tensor named \"\(name)\"") }
            guard let tensor = reader.tensor(value) else {
                throw Failure(reason: "\"\(name)\" is not a tensor; \(advice)")
            }
            do throws(Failure) {
                let (entry, size) = try entry(name, tensor, storage)
                entries.append(entry)
                total = total.addingReportingOverflow(size).partialValue
                guard size <= freeGrowth + limit * maximumGrowth, total <= freeGrowth + limit * maximumGrowth else {
                    throw Failure(
                        reason:
                            "its elements repeat those of few others: all take \(total) bytes out of a file of \(limit)"
                    )
                }
            } catch { throw Failure(reason: "tensor \"\(name)\": \(error.reason)") }
        }
        return entries
    }

    /// A tensor's entry, and the size of its elements when dense, in bytes.
    private static func entry(
        _ name: String, _ tensor: PickleTensor, _ storage: (String) -> Range<Int>?
    ) throws(Failure) -> (TensorEntry, size: Int) {
        guard let range = storage(tensor.storage.key) else {
            throw Failure(reason: "the archive has no member data/\(tensor.storage.key)")
        }
        let size = tensor.type.size
        let (expected, isTooMuch) = tensor.storage.count.multipliedReportingOverflow(by: tensor.storage.type?.size ?? 1)
        guard !isTooMuch, range.count == expected else {
            throw Failure(
                reason:
                    "\(tensor.storage.count) elements in a member data/\(tensor.storage.key) of \(range.count) bytes")
        }
        var (count, last, dense) = (1, tensor.offset, 1)
        var isDense = true
        for (extent, stride) in zip(tensor.shape, tensor.strides).reversed() {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            let (reach, overflow2) = max(extent - 1, 0).multipliedReportingOverflow(by: stride)
            let (sum, overflow3) = last.addingReportingOverflow(reach)
            guard !overflow, !overflow2, !overflow3 else { throw Failure(reason: "shape \(tensor.shape) overflows") }
            if extent != 1, stride != dense { isDense = false }
            (count, last, dense) = (product, sum, product)
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow else { throw Failure(reason: "shape \(tensor.shape) overflows") }
        guard count > 0 else {
            let empty = range.lowerBound..<range.lowerBound
            return (TensorEntry(name: name, type: tensor.type, shape: tensor.shape, range: empty), 0)
        }
        guard last < range.count / size else {
            throw Failure(
                reason: "shape \(tensor.shape) with strides \(tensor.strides) from element \(tensor.offset) on reaches "
                    + "beyond its storage of \(range.count / size)")
        }
        let start = range.lowerBound + tensor.offset * size
        let entry = TensorEntry(
            name: name, type: tensor.type, shape: tensor.shape, range: start..<range.lowerBound + (last + 1) * size,
            strides: isDense ? nil : tensor.strides)
        return (entry, bytes)
    }
}

extension PickledTensorsFile {
    /// The format of a file that is not a zip archive of `torch.save`, and advice; nil for a zip archive.
    private static func otherFormat(_ file: MappedFile) -> String? {
        let bytes = file.bytes
        if bytes.starts(with: "PK".utf8) { return nil }
        // The number 0x1950a86a20f9469cfc6c as a pickle of its own.
        let magic: [UInt8] = [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
        if bytes.count > 14, bytes[0] == 0x80, bytes[2..<14].elementsEqual(magic) {
            return "in the format of PyTorch before 1.6, which is not read; convert it with: "
                + conversion(file.path, weightsOnly: true)
        }
        if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) {
            return "a tar archive, as PyTorch before 0.1.10 wrote, which is not read; if you trust where it comes from "
                + "(this runs what the file says), convert it with: " + conversion(file.path, weightsOnly: false)
        }
        if let kind = ForeignFile.description(bytes) { return "not a file that torch.save wrote: it is \(kind)" }
        if bytes.count > 8, bytes[8] == UInt8(ascii: "{") {
            return "not a file that torch.save wrote, but safetensors; give its name the ending .safetensors"
        }
        if bytes.first == 0x80 {
            return "a pickle alone, not a zip archive as torch.save writes; \(advice)"
        }
        return "not a zip archive as torch.save writes (\(bytes.count) bytes), or damaged"
    }

    /// A command that converts a file that only PyTorch reads to safetensors.
    private static func conversion(_ path: String, weightsOnly: Bool) -> String {
        var target = path
        for ending in TensorFiles.pickledEndings where target.hasSuffix(ending) {
            target = target.dropLast(ending.count) + ".safetensors"
        }
        if target.hasSuffix("pytorch_model.safetensors") {
            target = target.dropLast("pytorch_model.safetensors".count) + "model.safetensors"
        }
        let isTrusted = weightsOnly ? "weights_only=True" : "weights_only=False"
        return
            "python -c \"import sys, torch, safetensors.torch as s; s.save_file({k: v.clone().contiguous() for k, v in "
            + "torch.load(sys.argv[1], map_location='cpu', \(isTrusted)).items()}, sys.argv[2], {'format': 'pt'})\" "
            + "\(quoted(path)) \(quoted(target))"
    }

    /// A path quoted for a shell.
    private static func quoted(_ path: String) -> String {
        let isPlain = path.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "+")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
            default: false
            }
        }
        return isPlain ? path : "'\(path.replacing("'", with: "'\\''"))'"
    }
}
