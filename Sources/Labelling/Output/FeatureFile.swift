package import Files
import Synchronization
package import Tensors

/// A file of features: where it goes, and how the numbers are stored.
package struct FeatureOptions: Sendable, Equatable {
    /// A file format.
    package enum Format: String, Sendable, CaseIterable {
        case safetensors, npy
    }

    /// The type of the numbers in the file.
    package enum Number: String, Sendable, CaseIterable {
        case f32, f16

        /// The type of a tensor of them.
        package var type: ElementType { self == .f32 ? .float32 : .float16 }
        /// The same as NumPy writes it.
        fileprivate var descriptor: String { self == .f32 ? "<f4" : "<f2" }
    }

    /// The file.
    package let path: BytePath
    /// The format, by the ending of the file's name.
    package let format: Format
    /// The type of the numbers.
    package let number: Number

    /// The options for a file; nil unless its name ends in `.safetensors` or `.npy`.
    package init?(_ path: BytePath, number: Number) {
        let ending = path.description.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        guard let format = Format(rawValue: ending.lowercased()) else { return nil }
        (self.path, self.format, self.number) = (path, format, number)
    }

    /// Checks that the file may be written.
    ///
    /// - Parameter force: whether a file is replaced that was changed, or that something else wrote.
    /// - Throws: `OutputError` when it may not; `LabellingError.featuresNeedFile` for a device or FIFO.
    package func check(force: Bool) throws {
        guard case .file = try OutputPlace(path) else { throw LabellingError.featuresNeedFile }
        if !force { try WrittenMark.check(path) }
    }
}

/// The part of a vector of features that the heads of some tasks read.
package struct FeatureColumns: Sendable, Equatable {
    /// The tasks, in the model's order.
    package let tasks: [String]
    /// The columns.
    package let columns: Range<Int>

    /// The columns of some tasks.
    package init(tasks: [String], columns: Range<Int>) { (self.tasks, self.columns) = (tasks, columns) }
}

/// A matrix of features with a row for each input, NaN for inputs without labels: a file beside a file of rows.
package final class FeatureFile: Sendable {
    /// The journal's name for the entries.
    static let entriesName = "features"

    /// The file, whose entries are the matrix's rows.
    let file: EntryFile
    private let width: Int
    private let number: FeatureOptions.Number

    /// The file to write.
    ///
    /// - Parameters:
    ///   - columns: which columns belong to which tasks.
    ///   - model: the SHA-256 of the model.
    /// - Throws: `OutputError.cannotWrite` when it cannot be created.
    package init(_ options: FeatureOptions, columns: [FeatureColumns], model: String) throws {
        guard case .file(let target, _) = try OutputPlace(options.path) else { throw LabellingError.featuresNeedFile }
        let number = options.number
        let width = columns.last?.columns.upperBound ?? 0
        (self.width, self.number) = (width, number)
        let header: @Sendable (_ entries: Int, _ rows: String) -> [UInt8] = { entries, rows in
            switch options.format {
            case .npy: FeatureFile.npyHeader(entries, width, number)
            case .safetensors: FeatureFile.safetensorsHeader(entries, width, number, columns, model: model, rows: rows)
            }
        }
        // Room for the longest number of rows; a header is padded to that length with blanks.
        let longest = header(Int.max / (width * number.type.size + 1), String(repeating: "0", count: 64)).count
        let room = (longest + 63) / 64 * 64
        file = try EntryFile(
            FeatureFile.entriesName, path: target, partial: OutputPlace.hidden(beside: target, adding: ".partial"),
            headerBytes: room, entryBytes: width * number.type.size
        ) { (FeatureFile.padded(header($0.entries, $0.rows), to: room, options.format), []) }
    }

    /// Appends the vector of an input.
    ///
    /// - Parameter features: the vector; nil for an input without labels.
    /// - Throws: `LabellingError.feature` when a value does not fit the type.
    func append(_ features: UnsafeBufferPointer<Float>?, path: [UInt8], to bytes: inout [UInt8]) throws(LabellingError)
    {
        for column in 0..<width {
            let value = features.map { $0[column] } ?? .nan
            switch number {
            case .f32: withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            case .f16:
                let half = Float16(value)
                guard half.isFinite || features == nil else {
                    throw .feature(path: BytePath(path), column: column, value: value)
                }
                withUnsafeBytes(of: half.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
    }

    // MARK: Headers

    /// The header of NumPy's format, version 1.0, without padding.
    private static func npyHeader(_ rows: Int, _ width: Int, _ number: FeatureOptions.Number) -> [UInt8] {
        let text = "{'descr': '\(number.descriptor)', 'fortran_order': False, 'shape': (\(rows), \(width)), }\n"
        return [0x93] + Array("NUMPY".utf8) + [1, 0, 0, 0] + Array(text.utf8)
    }

    private static func safetensorsHeader(
        _ rows: Int, _ width: Int, _ number: FeatureOptions.Number, _ columns: [FeatureColumns], model: String,
        rows digest: String
    ) -> [UInt8] {
        let parts = columns.map { part in
            JSON.object([
                "tasks": .array(part.tasks.map(JSON.string)), "first": .int(part.columns.lowerBound),
                "count": .int(part.columns.count),
            ])
        }
        let metadata: JSONObject = [
            "format": "pt", "columns": .string(JSON.array(parts).serialized(indented: false)),
            "model_sha256": .string(model), "rows_sha256": .string(digest),
        ]
        let tensor: JSONObject = [
            "dtype": .string(number.type.rawValue), "shape": .array([.int(rows), .int(width)]),
            "data_offsets": .array([.int(0), .int(rows * width * number.type.size)]),
        ]
        let header: JSONObject = ["__metadata__": .object(metadata), "features": .object(tensor)]
        return [UInt8](repeating: 0, count: 8) + Array(JSON.object(header).serialized(indented: false).utf8)
    }

    /// A header with blanks up to its length, a multiple of 64, and with the length itself.
    private static func padded(_ header: [UInt8], to room: Int, _ format: FeatureOptions.Format) -> [UInt8] {
        var header = header
        switch format {
        case .npy:
            header.removeLast()
            header += [UInt8](repeating: 0x20, count: room - header.count - 1) + [0x0A]
            header.replaceSubrange(8..<10, with: withUnsafeBytes(of: UInt16(room - 10).littleEndian, Array.init))
        case .safetensors:
            header += [UInt8](repeating: 0x20, count: room - header.count)
            header.replaceSubrange(0..<8, with: withUnsafeBytes(of: UInt64(room - 8).littleEndian, Array.init))
        }
        return header
    }
}
