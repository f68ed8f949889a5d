/// Points over two axes that measure the same on two sides, with the line on which both are equal.
struct ScatterChart {
    /// One point.
    struct Point {
        let x: Double
        let y: Double
        /// What shows under the pointer.
        let note: String
    }

    let horizontal: ChartFrame.Axis
    let vertical: ChartFrame.Axis
    let points: [Point]
    /// Words for those who do not see the picture.
    let description: String

    /// The picture.
    func drawn() -> HTML {
        let frame = ChartFrame(width: 340, height: 340, horizontal: horizontal, vertical: vertical)
        let low = max(horizontal.domain.lowerBound, vertical.domain.lowerBound)
        let high = min(horizontal.domain.upperBound, vertical.domain.upperBound)
        return Drawing.svg(width: frame.width, height: frame.height, description: description) {
            frame.axes
            if low < high { Drawing.line(frame.x(low), frame.y(low), frame.x(high), frame.y(high), "diagonal") }
            for point in points { Drawing.circle(frame.x(point.x), frame.y(point.y), 4.5, "point", note: point.note) }
        }
    }
}
