/// A heat map: cells get darker with their share and show their number.
struct HeatMap {
    /// A non-empty cell.
    struct Cell {
        /// The darkness, from 0 to 1.
        let share: Double
        /// The text in the cell.
        let text: String
        /// The tooltip.
        let note: String
        /// Whether it has the second colour, for numbers of both signs.
        var isOpposite = false
    }

    /// The names of the rows, from the top.
    let rows: [String]
    /// The names of the columns, from the left.
    let columns: [String]
    let rowTitle: String
    let columnTitle: String
    /// The text alternative.
    let description: String
    /// The cell of a row and a column; nil for an empty one.
    let cell: (_ row: Int, _ column: Int) -> Cell?

    private static let longestName = 24

    /// The picture. It has a fixed size so that names stay readable; put it into a scrollable element.
    func drawn() -> HTML {
        let count = max(rows.count, columns.count)
        let side = count <= 12 ? 44.0 : count <= 24 ? 30.0 : 21.0
        let size = count <= 24 ? 12.0 : 11.0
        let style = count <= 24 ? "" : "dense"
        func room(_ names: [String]) -> Double {
            names.map { Drawing.width(of: Drawing.shortened($0, Self.longestName), size: size) }.max() ?? 0
        }
        let left = 24 + room(rows) + 8
        let isTurned = columns.contains { Drawing.width(of: $0, size: size) > side - 6 }
        let top = 24 + (isTurned ? room(columns) + 8 : 16)
        let (width, height) = (left + side * Double(columns.count) + 2, top + side * Double(rows.count) + 2)
        return Drawing.svg(width: width, height: height, description: description, isFixed: true) {
            Drawing.text(columnTitle, left + side * Double(columns.count) / 2, 14, "axis-title", anchor: .middle)
            Drawing.text(
                rowTitle, 12, top + side * Double(rows.count) / 2, "axis-title", anchor: .middle, turned: -90)
            Drawing.rectangle(left, top, side * Double(columns.count), side * Double(rows.count), "plot")
            for (row, name) in rows.enumerated() {
                Drawing.text(
                    Drawing.shortened(name, Self.longestName), left - 7, top + side * (Double(row) + 0.5) + size / 3,
                    "name \(style)", anchor: .end, note: name)
            }
            for (column, name) in columns.enumerated() {
                let x = left + side * (Double(column) + 0.5)
                Drawing.text(
                    Drawing.shortened(name, Self.longestName), isTurned ? x + size / 3 : x, top - 7, "name \(style)",
                    anchor: isTurned ? .start : .middle, turned: isTurned ? -90 : nil, note: name)
            }
            for row in rows.indices {
                for column in columns.indices {
                    if let cell = cell(row, column) {
                        draw(cell, left + side * Double(column), top + side * Double(row), side, size, style)
                    }
                }
            }
            for index in 0...rows.count {
                let y = top + side * Double(index)
                Drawing.line(left, y, left + side * Double(columns.count), y, "cell-rule")
            }
            for index in 0...columns.count {
                let x = left + side * Double(index)
                Drawing.line(x, top, x, top + side * Double(rows.count), "cell-rule")
            }
        }
    }

    private func draw(
        _ cell: Cell, _ x: Double, _ y: Double, _ side: Double, _ size: Double, _ style: String
    ) -> HTML {
        let shade = cell.share >= 0.75 ? "strong" : cell.share >= 0.6 ? "middle" : "weak"
        return HTMLBuilder.buildArray([
            Drawing.rectangle(
                x, y, side, side, cell.isOpposite ? "cell opposite" : "cell", opacity: 0.06 + 0.94 * cell.share,
                note: cell.note),
            Drawing.text(
                cell.text, x + side / 2, y + side / 2 + size / 3, "value \(shade) \(style)", anchor: .middle),
        ])
    }
}
