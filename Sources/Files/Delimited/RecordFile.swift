import Glibc

/// Reads a text file record by record, also from a pipe. Memory holds one record and a block of the file.
///
/// A record is a line of JSON Lines, or a row of delimited text (`DelimitedReader`), which may have line ends within
/// quotes. Empty lines and a byte order mark are left out.
package final class RecordFile {
    /// What the records are.
    package enum Kind: Sendable, Equatable {
        /// Lines that begin with a brace.
        case jsonLines
        /// Rows whose cells are separated by this byte.
        case delimited(UInt8)
    }

    /// The length in bytes above which a record is refused.
    private static let maximumLength = 1 << 24
    private static let blockSize = 1 << 18

    /// The file.
    package let path: BytePath
    /// What its records are.
    package private(set) var kind = Kind.jsonLines
    /// Whether the last record that was read ends in a line end. Programs end the last line, too, so a file without may
    /// have been cut.
    package private(set) var endsInLineEnd = true
    private let descriptor: Int32
    private var block: [UInt8] = []
    private var position = 0
    private var line = 1

    /// Opens a file, and tells from its first line what its records are.
    ///
    /// - Throws: `FileError` when it cannot be read.
    package init(_ path: BytePath) throws(FileError) {
        self.path = path
        do throws(SystemError) { descriptor = try openPatiently(path, O_NOCTTY) } catch {
            throw FileError(path: path, reason: "\(error)")
        }
        if case .success(let status) = FileStatus.of(descriptor: descriptor), status.isFolder {
            throw FileError(path: path, reason: systemReason(EISDIR))
        }
        _ = try fill()
        if block.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        if block[position...].first(where: { !Self.isSpace($0) }) == UInt8(ascii: "{") { return }
        let first = Array(block[position...].prefix { $0 != 0x0A && $0 != 0x0D })
        let reader = DelimitedReader(first)
        kind = .delimited(reader.delimiter)
        // The line `sep=,` is for spreadsheets.
        if reader.isAtEnd, !first.isEmpty { _ = try next() }
    }

    deinit { close(descriptor) }

    /// The next record, without its line end, and the number of its first line; nil at the end.
    ///
    /// - Throws: `FileError` when the file cannot be read or the record is too long, which a quote without its partner
    ///   makes of the rest of a file.
    package func next() throws(FileError) -> (bytes: [UInt8], line: Int)? {
        while true {
            let first = line
            var record: [UInt8] = []
            var state = QuoteState()
            var isEnded = false
            while !isEnded {
                if position == block.count, try !fill() { break }
                let end = self.end(&state)
                record.append(contentsOf: block[position..<end])
                isEnded = end < block.count
                position = isEnded ? end + 1 : end
                guard record.count <= Self.maximumLength else {
                    throw FileError(
                        path: path,
                        reason: state.isQuoted
                            ? "line \(first): a quoted cell has no end" : "line \(first): longer than any row can be")
                }
            }
            if isEnded { line += 1 }
            if record.last == 0x0D { record.removeLast() }
            if !record.isEmpty {
                endsInLineEnd = isEnded
                return (record, first)
            }
            if !isEnded { return nil }
        }
    }

    /// Where in a row of delimited text the reading is.
    private struct QuoteState {
        var isQuoted = false
        /// Whether a quote begins quoted text: at the start of a cell, and after a quote, with which it is a quote in
        /// the text.
        var canBegin = true
    }

    /// The place of the line feed that ends the record, or the end of the block.
    private func end(_ state: inout QuoteState) -> Int {
        guard case .delimited(let delimiter) = kind else {
            return block[position...].firstIndex(of: 0x0A) ?? block.count
        }
        let quote = UInt8(ascii: "\"")
        for index in position..<block.count {
            let byte = block[index]
            if byte == 0x0A {
                guard state.isQuoted else { return index }
                line += 1
            } else if byte == quote, state.isQuoted || state.canBegin {
                state.isQuoted.toggle()
                state.canBegin = !state.isQuoted
                continue
            }
            state.canBegin = byte == delimiter && !state.isQuoted
        }
        return block.count
    }

    /// Reads the next block; false at the end of the file.
    private func fill() throws(FileError) -> Bool {
        var new = [UInt8](repeating: 0, count: Self.blockSize)
        while true {
            let count = new.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path: path, reason: systemReason(errno)) }
            new.removeLast(new.count - count)
            (block, position) = (new, 0)
            return count > 0
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }
}
