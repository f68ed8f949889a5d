import Evaluation

/// Lines through points, over two axes.
struct LineChart {
    /// One line.
    struct Series {
        let name: String
        /// From the left to the right.
        let points: [(x: Double, y: Double)]
        /// The interval of each point, if they have any; then points are marked.
        var intervals: [ConfidenceInterval?] = []
    }

    let horizontal: ChartFrame.Axis
    let vertical: ChartFrame.Axis
    /// At most six have a look of their own; names stand above when there is more than one.
    let series: [Series]
    /// Words for those who do not see the picture.
    let description: String

    /// A line is thinned out to about as many points.
    private static let maximumPoints = 240
    private static let looks = 6
    private static let lineOfNames = 17.0

    /// The picture.
    func drawn() -> HTML {
        let frame = ChartFrame(width: 360, height: 300, horizontal: horizontal, vertical: vertical)
        let room = series.count > 1 ? Self.lineOfNames * Double(series.count) + 6 : 0
        return Drawing.svg(width: frame.width, height: frame.height + room, description: description) {
            if series.count > 1 { names(frame) }
            HTML.element("g", ["transform": "translate(0 \(NumberText.coordinate(room)))"]) {
                frame.axes
                for (index, line) in series.enumerated() { draw(line, index, frame) }
            }
        }
    }

    private func names(_ frame: ChartFrame) -> HTML {
        HTMLBuilder.buildArray(
            series.enumerated().map { index, line in
                let y = Self.lineOfNames * Double(index) + 12
                return HTMLBuilder.buildBlock(
                    Drawing.line(frame.x.from, y, frame.x.from + 34, y, "line line\(index % Self.looks + 1)"),
                    Drawing.text(line.name, frame.x.from + 42, y + 4, "tick"))
            })
    }

    private func draw(_ line: Series, _ index: Int, _ frame: ChartFrame) -> HTML {
        let look = index % Self.looks + 1
        // Side by side, so that the intervals of one place do not hide one another.
        let shift = line.intervals.isEmpty ? 0 : 5 * (Double(index) - Double(series.count - 1) / 2)
        let points = Self.thinned(line.points).map { (x: frame.x($0.x) + shift, y: frame.y($0.y)) }
        var drawing = Drawing.polyline(points, "line line\(look)")
        for (point, interval) in zip(points, line.intervals) {
            if let interval {
                drawing.append(
                    Drawing.line(point.x, frame.y(interval.low), point.x, frame.y(interval.high), "whisker"))
            }
            drawing.append(Drawing.circle(point.x, point.y, 3.5, "mark\(look)"))
        }
        return drawing
    }

    private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
        guard points.count > maximumPoints else { return points }
        return (0...maximumPoints).map { points[$0 * (points.count - 1) / maximumPoints] }
    }
}
