import Evaluation
import Glibc

/// A linear map from numbers to pixels.
struct LinearScale {
    /// The numbers, the lower first.
    let domain: ClosedRange<Double>
    /// The pixels of the lower and the upper bound.
    let from: Double
    let to: Double

    /// The pixel of a number.
    func callAsFunction(_ value: Double) -> Double {
        let extent = domain.upperBound - domain.lowerBound
        return extent > 0 ? from + (value - domain.lowerBound) / extent * (to - from) : (from + to) / 2
    }

    /// Round numbers in the range, about `count` of them: 1, 2 or 5 times a power of ten apart.
    func ticks(_ count: Int = 5) -> [Double] {
        let extent = domain.upperBound - domain.lowerBound
        guard extent > 0, extent.isFinite else { return [domain.lowerBound] }
        let rough = extent / Double(max(count, 1))
        let power = pow(10, floor(log10(rough)))
        let step = power * ([1, 2, 5].first { rough <= $0 * power * 1.0001 } ?? 10)
        let first = (domain.lowerBound / step - 1e-9).rounded(.up)
        let last = (domain.upperBound / step + 1e-9).rounded(.down)
        guard first <= last else { return [] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }
}

/// The axes of a chart, with the plot between them.
struct ChartFrame {
    /// An axis.
    struct Axis {
        /// What it measures, with its unit.
        let title: String
        /// The numbers that it spans.
        let domain: ClosedRange<Double>
        /// The text of a tick.
        let text: (Double) -> String

        /// The ticks, such as whole numbers; nil for round numbers.
        var places: [Double]?

        /// Shares as percentages.
        static func share(_ title: String, _ domain: ClosedRange<Double> = 0...1) -> Axis {
            Axis(title: title, domain: domain, text: { NumberText.fixed(100 * $0, 0) })
        }
    }

    /// The whole drawing.
    let width: Double
    let height: Double
    let horizontal: Axis
    let vertical: Axis
    private let left = 46.0
    private let right = 12.0
    private let top = 10.0
    private let bottom = 42.0

    init(width: Double, height: Double, horizontal: Axis, vertical: Axis) {
        (self.width, self.height) = (width, height)
        (self.horizontal, self.vertical) = (horizontal, vertical)
    }

    /// Numbers of the horizontal axis as pixels.
    var x: LinearScale { LinearScale(domain: horizontal.domain, from: left, to: width - right) }
    /// Numbers of the vertical axis as pixels.
    var y: LinearScale { LinearScale(domain: vertical.domain, from: height - bottom, to: top) }

    /// The grid, ticks and titles of the axes, drawn below everything else.
    var axes: HTML {
        var drawing = HTML.empty
        for tick in vertical.places ?? y.ticks() {
            drawing.append(Drawing.line(x.from, y(tick), x.to, y(tick), "grid"))
            drawing.append(Drawing.text(vertical.text(tick), x.from - 6, y(tick) + 4, "tick", anchor: .end))
        }
        for tick in horizontal.places ?? x.ticks() {
            drawing.append(Drawing.line(x(tick), y.from, x(tick), y.from + 4, "axis"))
            drawing.append(Drawing.text(horizontal.text(tick), x(tick), y.from + 17, "tick", anchor: .middle))
        }
        drawing.append(Drawing.line(x.from, y.from, x.to, y.from, "axis"))
        drawing.append(
            Drawing.text(horizontal.title, (x.from + x.to) / 2, height - 6, "axis-title", anchor: .middle))
        drawing.append(
            Drawing.text(vertical.title, 12, (y.from + y.to) / 2, "axis-title", anchor: .middle, turned: -90))
        return drawing
    }
}

/// Shares as horizontal bars, one or more per category, with optional intervals.
struct BarChart {
    /// One bar.
    struct Bar {
        /// 0 to 1; nil for no bar.
        let value: Double?
        let interval: ConfidenceInterval?
        /// The tooltip.
        let note: String
    }

    /// A category: a name and one bar per series.
    struct Category {
        let name: String
        let bars: [Bar]
    }

    /// The names of the series, in the order of the bars; at most six.
    let series: [String]
    /// The style of each series, from 1; by default in their order.
    var looks: [Int]?
    let categories: [Category]
    /// The text alternative.
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

    /// The legend, in as many lines as it takes, and its height.
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

/// Lines through points, over two axes.
struct LineChart {
    /// One line.
    struct Series {
        let name: String
        /// From the left to the right.
        let points: [(x: Double, y: Double)]
        /// The interval of each point, if any; such points are marked.
        var intervals: [ConfidenceInterval?] = []
    }

    let horizontal: ChartFrame.Axis
    let vertical: ChartFrame.Axis
    /// At most six have distinct styles; a legend above names them if there are several.
    let series: [Series]
    /// The text alternative.
    let description: String

    /// Longer lines are thinned to about this number of points.
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
        // Side by side, so that intervals at the same x do not hide each other.
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

/// Points over two axes.
struct ScatterChart {
    /// One point.
    struct Point {
        let x: Double
        let y: Double
        /// The tooltip.
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
    /// The text alternative.
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

/// Accuracy by confidence: the bars of a calibrated model end on the diagonal.
struct ReliabilityDiagram {
    let calibration: ConfidenceCalibration
    /// The text alternative.
    let description: String

    /// The picture: a bar for each non-empty bin with the gap to its mean confidence, and below it a histogram of the
    /// bins.
    func drawn() -> HTML {
        let frame = ChartFrame(
            width: 360, height: 300, horizontal: .share(""), vertical: .share("right, %"))
        let (top, room) = (frame.height - 22, 44.0)
        let most = calibration.bins.map(\.count).max() ?? 0
        return Drawing.svg(width: frame.width, height: top + room + 40, description: description) {
            frame.axes
            for (index, bin) in calibration.bins.enumerated() {
                if let accuracy = bin.accuracy, let confidence = bin.confidence {
                    let range = calibration.range(index)
                    let (left, right) = (frame.x(range.lowerBound) + 0.5, frame.x(range.upperBound) - 0.5)
                    let note =
                        "\(NumberText.count(bin.count, "answer")), confidence \(NumberText.percent(confidence)), "
                        + "right \(NumberText.percent(accuracy))"
                    let (upper, lower) = (max(accuracy, confidence), min(accuracy, confidence))
                    Drawing.rectangle(
                        left, frame.y(accuracy), right - left, frame.y.from - frame.y(accuracy), "series1", note: note)
                    Drawing.rectangle(
                        left, frame.y(upper), right - left, frame.y(lower) - frame.y(upper),
                        accuracy > confidence ? "gap inside" : "gap",
                        note: note)
                    let tall = room * Double(bin.count) / Double(max(most, 1))
                    Drawing.rectangle(left, top + room - tall, right - left, tall, "histogram", note: note)
                }
            }
            Drawing.line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "diagonal")
            Drawing.line(frame.x(0), top + room, frame.x(1), top + room, "axis")
            Drawing.text(NumberText.count(most), frame.x.from - 6, top + 10, "tick", anchor: .end)
            Drawing.text(
                "confidence, %, and answers by confidence", (frame.x.from + frame.x.to) / 2, top + room + 20,
                "axis-title", anchor: .middle)
        }
    }
}
