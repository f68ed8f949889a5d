package import Files
import Glibc

/// The parts of one run, whose manifests agree and leave no gap.
package struct GatheredShards: Sendable {
    private struct Part {
        let path: BytePath
        let manifest: RunManifest
    }

    private let parts: [Part]
    /// The numbers of the inputs whose rows the parts hold, from 0.
    package let inputs: Range<Int>

    /// Reads the manifests beside the files and checks that they are parts of one run and leave no gap.
    ///
    /// - Parameter isPartial: whether they may cover a contiguous range of the run instead of all of it.
    /// - Throws: `LabellingError.shards` naming the part that is missing, foreign or duplicate.
    package init(_ paths: [BytePath], isPartial: Bool) throws(LabellingError) {
        var parts: [Part] = []
        for path in paths { parts.append(Part(path: path, manifest: try RunManifest(beside: path))) }
        guard let first = parts.first else { throw .shards("there are no shards to gather") }
        for part in parts {
            if let difference = GatheredShards.difference(first.manifest, part.manifest) {
                throw .shards("\(part.path) is not of the same run as \(first.path): \(difference)")
            }
        }
        parts.sort {
            ($0.manifest.part.lowerBound, $0.manifest.part.count) < (
                $1.manifest.part.lowerBound, $1.manifest.part.count
            )
        }
        try GatheredShards.checkCoverage(parts, isPartial: isPartial)
        self.parts = parts
        inputs = (parts.first?.manifest.part.lowerBound ?? 0)..<(parts.last?.manifest.part.upperBound ?? 0)
    }

    /// The difference of two manifests that parts of one run cannot have.
    private static func difference(_ a: RunManifest, _ b: RunManifest) -> String? {
        if a.settings != b.settings { return settingsDifference(a.settings, b.settings, then: "there", now: "here") }
        if a.inputs != b.inputs { return "the whole run has \(a.inputs) inputs there, \(b.inputs) here" }
        if a.paths != b.paths { return "the whole run has other inputs" }
        return nil
    }

    private static func checkCoverage(_ parts: [Part], isPartial: Bool) throws(LabellingError) {
        var next = isPartial ? parts.first?.manifest.part.lowerBound ?? 0 : 0
        for (index, part) in parts.enumerated() {
            let range = part.manifest.part
            if range.lowerBound > next { throw missing(next..<range.lowerBound, parts) }
            if range.lowerBound < next {
                throw .shards("\(parts[index - 1].path) and \(part.path) have rows of the same inputs")
            }
            next = range.upperBound
        }
        let total = parts.first?.manifest.inputs ?? 0
        if !isPartial, next < total { throw missing(next..<total, parts) }
    }

    private static func missing(_ range: Range<Int>, _ parts: [Part]) -> LabellingError {
        var text = "the rows of inputs \(range.lowerBound + 1) to \(range.upperBound) are missing"
        let names = parts.map { $0.manifest.shard.split(separator: "/") }
        if let count = names.first?.last.flatMap({ Int($0) }), count <= Shard.maximumParts,
            names.allSatisfy({ $0.count == 2 && $0[1] == "\(count)" })
        {
            let present = Set(names.compactMap { Int($0[0]) })
            let absent = (1...max(count, 1)).filter { !present.contains($0) }
            if !absent.isEmpty {
                text += ": no shard " + absent.prefix(20).map { "\($0)/\(count)" }.joined(separator: ", ")
                if absent.count > 20 { text += " and \(absent.count - 20) more" }
            }
        }
        return .shards(text)
    }

    /// Writes the record of all parts' files beside their gathered rows, so that `ReusableRows` can read them.
    ///
    /// - Parameter manifest: that of the gathered rows.
    /// - Returns: nil, or the reason why there is none: a part without a record.
    /// - Throws: `LabellingError.reuse` when a record is damaged; `OutputError.cannotWrite`.
    package func writeRecord(beside rows: BytePath, _ manifest: RunManifest) throws -> String? {
        var records: [(file: MappedFile, record: ReuseRecord)] = []
        for part in parts {
            do throws(LabellingError) {
                records.append(try ReuseRecord.find(part.path, rows: part.manifest.rows.digest))
            } catch { return "\(error)" }
        }
        let output = try OutputFile.replacing(ReuseRecord.path(of: rows.resolved))
        try output.write(ReuseRecord.magic)
        var digest = SHA256()
        for (part, (file, record)) in zip(parts, records) {
            let entries = UnsafeRawBufferPointer(rebasing: file.bytes[record.entryRange])
            var own = SHA256()
            own.add(entries)
            guard own.text == record.entries else {
                throw LabellingError.reuse(path: part.path, reason: "\(file.path) is damaged")
            }
            try output.write(entries)
            digest.add(entries)
        }
        let record = ReuseRecord(
            settings: manifest.settings, inputs: manifest.part.count, headerBytes: manifest.rows.headerBytes,
            rows: manifest.rows.digest, entries: digest.text)
        try output.write(record.trailer)
        try output.commit()
        return nil
    }

    /// Writes the rows of all parts one after the other, and checks every file against its manifest.
    ///
    /// Memory does not grow with the files. The caller commits or discards the output.
    ///
    /// - Returns: the manifest of the rows written.
    /// - Throws: `LabellingError.shards` naming a file that is damaged; `OutputError.cannotWrite`.
    package func write(to output: OutputFile) throws -> RunManifest {
        var digest = SHA256()
        var (bytes, failed, belowThreshold, header) = (0, 0, 0, [UInt8]())
        let total = parts.reduce(0) { $0 + $1.manifest.rows.bytes }
        for (index, part) in parts.enumerated() {
            let file = try ShardFile(part.path, part.manifest.rows)
            let isFirst = index == 0
            let names = try file.header()
            if isFirst { header = names }
            guard names == header else {
                throw LabellingError.shards("\(part.path): its column names are not those of \(parts[0].path)")
            }
            try file.copy { (block: UnsafeRawBufferPointer, isHeader: Bool) in
                guard isFirst || !isHeader else { return }
                try output.write(block)
                digest.add(block)
                bytes += block.count
                LongWork.note("gathering KiB", bytes >> 10, of: total >> 10)
            }
            failed += part.manifest.rows.failed
            belowThreshold += part.manifest.rows.belowThreshold
        }
        let first = parts[0].manifest
        let isWhole = inputs == 0..<first.inputs
        return RunManifest(
            settings: first.settings, shard: isWhole ? "1/1" : "\(inputs.lowerBound)..<\(inputs.upperBound)",
            inputs: first.inputs, paths: first.paths, part: inputs,
            rows: .init(
                bytes: bytes, headerBytes: header.count, digest: digest.text, failed: failed,
                belowThreshold: belowThreshold))
    }
}

/// The file of a part's rows, read once from beginning to end.
private final class ShardFile {
    private let path: BytePath
    private let rows: RunManifest.Rows
    private let descriptor: Int32

    init(_ path: BytePath, _ rows: RunManifest.Rows) throws(LabellingError) {
        (self.path, self.rows) = (path, rows)
        let opened: Result<Int32, any Error> = Result { try FileReader.open(path) }
        guard case .success(let descriptor) = opened else {
            if case .failure(let error) = opened { throw .shards("\(path): \(error)") }
            throw .shards("\(path): cannot be read")
        }
        self.descriptor = descriptor
        guard case .success(let status) = FileStatus.of(descriptor: descriptor), status.size == rows.bytes else {
            throw .shards("\(path) is damaged: its manifest says \(rows.bytes) bytes, but its size differs")
        }
    }

    deinit { close(descriptor) }

    /// The bytes before the first row.
    func header() throws(LabellingError) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: rows.headerBytes)
        let count = header.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == header.count else { throw .shards("\(path): cannot be read: \(systemReason(errno))") }
        return header
    }

    /// Passes the file to `body` block by block.
    ///
    /// - Throws: `LabellingError.shards` when it cannot be read or its digest is not the manifest's.
    func copy(_ body: (UnsafeRawBufferPointer, _ isHeader: Bool) throws -> Void) throws {
        var digest = SHA256()
        var position = 0
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { block.deallocate() }
        while true {
            let isHeader = position < rows.headerBytes
            let size = isHeader ? min(block.count, rows.headerBytes - position) : block.count
            let count = read(descriptor, block.baseAddress, size)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw LabellingError.shards("\(path): cannot be read: \(systemReason(errno))") }
            if count == 0 { break }
            let part = UnsafeRawBufferPointer(rebasing: block[..<count])
            digest.add(part)
            position += count
            try body(part, isHeader)
        }
        guard digest.text == rows.digest else {
            throw LabellingError.shards("\(path) is damaged: its SHA-256 is not that of its manifest")
        }
    }
}
