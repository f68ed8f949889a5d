/// Shares as horizontal bars, one or more for each category, some with their intervals.
struct BarChart {
    /// One bar.
    struct Bar {
        /// 0 to 1; nil for no bar.
        let value: Double?
        let interval: ConfidenceInterval?
        /// What shows under the pointer.
        let note: String
    }

    /// One category: a name and a bar for each series.
    struct Category {
        let name: String
        let bars: [Bar]
    }

    /// What the bars of a category mean, in their order; at most four.
    let series: [String]
    let categories: [Category]
    /// Words for those who do not see the picture.
    let description: String

    /// The picture.
    func drawn() -> HTML {
        let thickness = 8.0
        let pitch = thickness * Double(series.count) + 9
        let names = categories.map { Drawing.width(of: Drawing.shortened($0.name, 24), size: 12) }.max() ?? 0
        let (left, top, width) = (names + 10, 28.0, 520.0)
        let height = top + pitch * Double(categories.count) + 24
        let x = LinearScale(domain: 0...1, from: left, to: width - 14)
        return Drawing.svg(width: width, height: height, description: description) {
            legend(left)
            for tick in x.ticks() {
                Drawing.line(x(tick), top - 4, x(tick), height - 22, "grid")
                Drawing.text(NumberText.fixed(100 * tick, 0), x(tick), height - 6, "tick", anchor: .middle)
            }
            for (index, category) in categories.enumerated() {
                let y = top + pitch * Double(index)
                Drawing.text(
                    Drawing.shortened(category.name, 24), left - 7, y + (pitch - 9) / 2 + 4, "name", anchor: .end,
                    note: category.name)
                for (place, bar) in category.bars.enumerated() {
                    draw(bar, place, x, y + thickness * Double(place), thickness)
                }
            }
        }
    }

    private func legend(_ left: Double) -> HTML {
        var drawing = HTML.empty
        var x = left
        for (place, name) in series.enumerated() {
            drawing.append(Drawing.rectangle(x, 4, 10, 10, "series\(place + 1)"))
            drawing.append(Drawing.text(name, x + 15, 13, "tick"))
            x += 30 + Drawing.width(of: name, size: 12)
        }
        return drawing
    }

    private func draw(_ bar: Bar, _ place: Int, _ x: LinearScale, _ y: Double, _ thickness: Double) -> HTML {
        guard let value = bar.value else { return .empty }
        var drawing = Drawing.rectangle(
            x.from, y, x(value) - x.from, thickness - 1, "series\(place + 1)", note: bar.note)
        if let interval = bar.interval {
            let middle = y + (thickness - 1) / 2
            drawing.append(Drawing.line(x(interval.low), middle, x(interval.high), middle, "whisker"))
            for end in [interval.low, interval.high] {
                drawing.append(Drawing.line(x(end), middle - 2.5, x(end), middle + 2.5, "whisker"))
            }
        }
        return drawing
    }
}
