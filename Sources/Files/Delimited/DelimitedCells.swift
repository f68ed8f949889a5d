/// CSV by RFC 4180, or the same with tabs: a cell is quoted only where it has to be, and lines end in a line feed.
package struct DelimitedCells {
    package let delimiter: UInt8
    /// Whether a cell that a spreadsheet would take for a formula gets an apostrophe before it.
    package var guardsFormulas = false

    /// Cells separated by a delimiter.
    package init(delimiter: UInt8, guardsFormulas: Bool = false) {
        (self.delimiter, self.guardsFormulas) = (delimiter, guardsFormulas)
    }

    /// Appends a cell, quoted if it holds the delimiter, a quote or a line end.
    package func append(_ cell: some Collection<UInt8>, to bytes: inout [UInt8]) {
        let quote = UInt8(ascii: "\"")
        if guardsFormulas, let first = cell.first, DelimitedCells.formulaStarts.contains(first) {
            return unguarded.append([UInt8(ascii: "'")] + cell, to: &bytes)
        }
        guard cell.contains(where: { $0 == delimiter || $0 == quote || $0 == 0x0A || $0 == 0x0D }) else {
            bytes.append(contentsOf: cell)
            return
        }
        bytes.append(quote)
        for byte in cell {
            if byte == quote { bytes.append(quote) }
            bytes.append(byte)
        }
        bytes.append(quote)
    }

    /// What formulas begin with, in one spreadsheet or another.
    private static let formulaStarts = Array("=+-@\t\r".utf8)

    private var unguarded: DelimitedCells { DelimitedCells(delimiter: delimiter) }

    /// Appends a whole line.
    package func appendLine(_ cells: [[UInt8]], to bytes: inout [UInt8]) {
        for (index, cell) in cells.enumerated() {
            if index > 0 { bytes.append(delimiter) }
            append(cell, to: &bytes)
        }
        bytes.append(0x0A)
    }
}
