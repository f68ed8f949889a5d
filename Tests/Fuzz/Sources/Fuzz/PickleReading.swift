import Tensors

/// Reads a file of `torch.save` with all its tensors, for the targets that make such files.
enum PickleFuzz {
    static func read(_ bytes: [UInt8]) {
        guard let path = bytes.withUnsafeBytes(MemoryFile.path), let file = try? PickledTensorsFile(path: path) else {
            return
        }
        var total = 0
        for entry in file.entries {
            precondition(entry.range.lowerBound >= 0 && entry.range.upperBound <= bytes.count, "outside the file")
            guard let tensor = try? file.tensor(entry.name) else { continue }
            precondition(tensor.values.count == entry.shape.reduce(1, *), "values differ from the shape")
            total += tensor.values.count
        }
        precondition(total <= (1 << 24) + 8 * bytes.count, "tensors of far more bytes than the file")
    }
}
