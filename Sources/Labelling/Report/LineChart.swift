/// Lines through points, over two axes.
struct LineChart {
    /// One line.
    struct Series {
        let name: String
        /// From the left to the right.
        let points: [(x: Double, y: Double)]
    }

    let horizontal: ChartFrame.Axis
    let vertical: ChartFrame.Axis
    /// At most four; names are shown when there is more than one.
    let series: [Series]
    /// Words for those who do not see the picture.
    let description: String

    /// A line is thinned out to about as many points.
    private static let mostPoints = 240

    /// The picture.
    func drawn() -> HTML {
        let frame = ChartFrame(width: 360, height: 300, horizontal: horizontal, vertical: vertical)
        return Drawing.svg(width: frame.width, height: frame.height, description: description) {
            frame.axes
            for (index, line) in series.enumerated() {
                Drawing.polyline(
                    Self.thinned(line.points).map { (frame.x($0.x), frame.y($0.y)) }, "line line\(index + 1)")
                if series.count > 1, let last = line.points.last {
                    Drawing.text(
                        line.name, frame.x(last.x) - 4, frame.y(last.y) - 6 - 13 * Double(index), "tick", anchor: .end)
                }
            }
        }
    }

    private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
        guard points.count > mostPoints else { return points }
        return (0...mostPoints).map { points[$0 * (points.count - 1) / mostPoints] }
    }
}
