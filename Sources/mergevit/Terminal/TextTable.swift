/// Rows of text with their columns below each other.
enum TextTable {
    /// Rows as a table, numbers to the right; the columns in `left` to the left.
    static func aligned(_ rows: [[String]], left: Set<Int>) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return left.contains(column) ? cell + space : space + cell
            }.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
