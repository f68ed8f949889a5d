/// Suggestions for mistyped names.
package enum NearestName {
    /// The name that a mistyped one is probably meant for: the one with the fewest edits, if they are few for its
    /// length.
    package static func suggestion(for text: String, among names: some Sequence<String>) -> String? {
        let limit = max(1, text.count / 3)
        let nearest = names.map { (name: $0, edits: edits(text.lowercased(), $0.lowercased())) }
            .min { $0.edits < $1.edits }
        return nearest.flatMap { $0.edits <= limit ? $0.name : nil }
    }

    /// The number of letters to insert, delete, replace or swap with a neighbour that make one text the other
    /// (optimal string alignment).
    package static func edits(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                let replaced = rows[i][j] + (a[i] == b[j] ? 0 : 1)
                var least = min(rows[i][j + 1] + 1, row[j] + 1, replaced)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, rows[i - 1][j - 1] + 1) }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
