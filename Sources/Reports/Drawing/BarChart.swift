import Evaluation

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

    /// What the bars of a category mean, in their order; at most six.
    let series: [String]
    /// The look of each, from 1; in their order unless given.
    var looks: [Int]?
    let categories: [Category]
    /// Words for those who do not see the picture.
    let description: String

    /// The picture.
    func drawn() -> HTML {
        let thickness = 8.0
        let pitch = thickness * Double(series.count) + 9
        let names = categories.map { Drawing.width(of: Drawing.shortened($0.name, 24), size: 12) }.max() ?? 0
        let (left, width) = (names + 10, 520.0)
        let legend = legend(from: left, to: width)
        let top = legend.height + 10
        let height = top + pitch * Double(categories.count) + 24
        let x = LinearScale(domain: 0...1, from: left, to: width - 14)
        return Drawing.svg(width: width, height: height, description: description) {
            legend.drawing
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

    private func look(_ place: Int) -> String { "series\(looks?[place] ?? place + 1)" }

    /// What the bars mean, in as many lines as it takes.
    private func legend(from left: Double, to right: Double) -> (drawing: HTML, height: Double) {
        var drawing = HTML.empty
        var (x, y) = (left, 4.0)
        for (place, name) in series.enumerated() {
            let room = 30 + Drawing.width(of: name, size: 12)
            if x > left, x + room > right { (x, y) = (left, y + 17) }
            drawing.append(Drawing.rectangle(x, y, 10, 10, look(place)))
            drawing.append(Drawing.text(name, x + 15, y + 9, "tick"))
            x += room
        }
        return (drawing, y + 14)
    }

    private func draw(_ bar: Bar, _ place: Int, _ x: LinearScale, _ y: Double, _ thickness: Double) -> HTML {
        guard let value = bar.value else { return .empty }
        var drawing = Drawing.rectangle(
            x.from, y, x(value) - x.from, thickness - 1, look(place), note: bar.note)
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
