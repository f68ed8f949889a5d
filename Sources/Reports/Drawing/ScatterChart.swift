/// Points over two axes.
struct ScatterChart {
    /// One point.
    struct Point {
        let x: Double
        let y: Double
        /// What shows under the pointer.
        let note: String
    }

    /// A line below the points.
    enum Guide {
        /// Where both axes measure the same: the line on which they are equal.
        case equality
        /// The line with the least squares of vertical distances.
        case trend
    }

    let horizontal: ChartFrame.Axis
    let vertical: ChartFrame.Axis
    let points: [Point]
    var guide = Guide.equality
    /// Words for those who do not see the picture.
    let description: String

    /// The picture.
    func drawn() -> HTML {
        let frame = ChartFrame(width: 340, height: 340, horizontal: horizontal, vertical: vertical)
        return Drawing.svg(width: frame.width, height: frame.height, description: description) {
            frame.axes
            line(frame)
            for point in points { Drawing.circle(frame.x(point.x), frame.y(point.y), 4.5, "point", note: point.note) }
        }
    }

    @HTMLBuilder private func line(_ frame: ChartFrame) -> HTML {
        switch guide {
        case .equality:
            let low = max(horizontal.domain.lowerBound, vertical.domain.lowerBound)
            let high = min(horizontal.domain.upperBound, vertical.domain.upperBound)
            if low < high { Drawing.line(frame.x(low), frame.y(low), frame.x(high), frame.y(high), "diagonal") }
        case .trend:
            if let (from, to) = trend {
                Drawing.line(frame.x(from.x), frame.y(from.y), frame.x(to.x), frame.y(to.y), "trend")
            }
        }
    }

    /// The ends of the line with the least squares, from the leftmost to the rightmost point.
    private var trend: (from: (x: Double, y: Double), to: (x: Double, y: Double))? {
        let n = Double(points.count)
        let (mx, my) = (points.reduce(0) { $0 + $1.x } / n, points.reduce(0) { $0 + $1.y } / n)
        let squares = points.reduce(0) { $0 + ($1.x - mx) * ($1.x - mx) }
        guard let low = points.map(\.x).min(), let high = points.map(\.x).max(), squares > 0 else { return nil }
        let slope = points.reduce(0) { $0 + ($1.x - mx) * ($1.y - my) } / squares
        func end(_ x: Double) -> (Double, Double) { (x, my + slope * (x - mx)) }
        return (end(low), end(high))
    }
}
