import Glibc

/// A range of numbers laid along a range of pixels.
struct LinearScale {
    /// The numbers, the lower first.
    let domain: ClosedRange<Double>
    /// Where the lower and the upper one stand.
    let from: Double
    let to: Double

    /// Where a number stands.
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
    /// What one axis says.
    struct Axis {
        /// What it measures, with its unit.
        let title: String
        /// The numbers that it spans.
        let domain: ClosedRange<Double>
        /// A number at a tick.
        let text: (Double) -> String

        /// What the axis says at a number of places alone, such as whole numbers; nil for round numbers.
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

    /// The lines, numbers and titles of the axes, to be drawn below everything else.
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
