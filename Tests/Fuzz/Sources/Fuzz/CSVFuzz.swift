import Files

/// The CSV reader. What it reads is written and read again as the same cells.
func fuzzCSV(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let rows = read(Array(UnsafeBufferPointer(start: data, count: count))) else { return 0 }
    // A single empty cell is an empty line, which is left out.
    let written = rows.filter { $0 != [[]] }
    var bytes: [UInt8] = Array("a,b\n".utf8)
    for row in written { DelimitedCells(delimiter: UInt8(ascii: ",")).appendLine(row, to: &bytes) }
    // A first cell of the header with a tab would make the table a TSV, hence a header of our own.
    precondition(read(bytes)?.dropFirst().elementsEqual(written) == true, "cells are not what was written")
    return 0
}

private func read(_ bytes: [UInt8]) -> [[[UInt8]]]? {
    var reader = DelimitedReader(bytes)
    var rows: [[[UInt8]]] = []
    while true {
        do throws(FileError) {
            guard let row = try reader.next(BytePath("table")) else { return rows }
            rows.append(row.cells)
        } catch { return nil }
    }
}
