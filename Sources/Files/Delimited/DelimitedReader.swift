/// Reads the rows of a CSV (RFC 4180) or TSV: what `DelimitedCells` writes, or spreadsheets do.
///
/// Cells are bytes. Lines end in a line feed, with or without a carriage return before it; empty lines are left out,
/// and so is a byte order mark. The first of comma, semicolon and tab that the first line has outside of quotes
/// separates cells, unless the first line is `sep=` and the separator, which spreadsheets read and which is left out,
/// too.
package struct DelimitedReader {
    private let bytes: [UInt8]
    /// What separates cells.
    let delimiter: UInt8
    private var position = 0
    private var line = 1

    /// A reader at the start of a table.
    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        let first = bytes[position...].prefix { $0 != 0x0A && $0 != 0x0D }
        let separators = Array(",;\t".utf8)
        if first.count == 5, first.starts(with: "sep=".utf8), let last = first.last, separators.contains(last) {
            delimiter = last
            position = first.endIndex
            return
        }
        var isQuoted = false
        let header = bytes[position...].prefix { $0 != 0x0A }
        delimiter =
            header.first { byte in
                if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
                return !isQuoted && separators.contains(byte)
            } ?? UInt8(ascii: ",")
    }

    /// A reader of one row of a table whose delimiter is known, such as a record of a `RecordFile`.
    package init(row bytes: [UInt8], delimiter: UInt8, line: Int) {
        (self.bytes, self.delimiter, self.line) = (bytes, delimiter, line)
    }

    /// Whether nothing is left.
    var isAtEnd: Bool { position == bytes.count }

    /// The next row and the number of its first line; nil at the end.
    ///
    /// - Throws: `FileError` naming `table` when a quoted cell has no end or text follows its end.
    package mutating func next(_ table: BytePath) throws(FileError) -> (cells: [[UInt8]], line: Int)? {
        skipEmptyLines()
        guard position < bytes.count else { return nil }
        let start = line
        var cells: [[UInt8]] = []
        while true {
            guard let cell = cell() else {
                throw FileError(
                    path: table, reason: "line \(start): a quoted cell has no end, or goes on after its end")
            }
            cells.append(cell)
            guard position < bytes.count, bytes[position] == delimiter else { break }
            position += 1
        }
        skipLineEnd()
        return (cells, start)
    }

    /// The cell at `position`, which then is at what ends it; nil if its quotes are wrong.
    private mutating func cell() -> [UInt8]? {
        let quote = UInt8(ascii: "\"")
        guard position < bytes.count, bytes[position] == quote else {
            let start = position
            while !isAtEndOfCell { position += 1 }
            return Array(bytes[start..<position])
        }
        var cell: [UInt8] = []
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte == quote {
                guard position < bytes.count, bytes[position] == quote else { return isAtEndOfCell ? cell : nil }
                position += 1
            }
            if byte == 0x0A { line += 1 }
            cell.append(byte)
        }
        return nil
    }

    private var isAtEndOfCell: Bool { position == bytes.count || bytes[position] == delimiter || lineEnd > 0 }

    /// The bytes of the line end at `position`; 0 if there is none.
    private var lineEnd: Int {
        guard position < bytes.count else { return 0 }
        if bytes[position] == 0x0A { return 1 }
        return bytes[position] == 0x0D && position + 1 < bytes.count && bytes[position + 1] == 0x0A ? 2 : 0
    }

    private mutating func skipLineEnd() {
        let count = lineEnd
        guard count > 0 else { return }
        position += count
        line += 1
    }

    private mutating func skipEmptyLines() {
        while lineEnd > 0 { skipLineEnd() }
    }
}
