package import Images
import Tensors

/// Pictures drawn from a seed, for when there are no images: discs, boxes and triangles on top of one another, each
/// shaded or with a grating, under noise.
///
/// The sizes of shapes follow the power law r⁻³ of dead leaves models, whose statistics are near those of photographs
/// (Lee, Mumford and Huang, Occlusion models for natural images, IJCV 2001). Only sums, products, quotients and square
/// roots are computed, so a seed gives the same bytes on every machine.
package struct DrawnPictures: Sendable, Hashable {
    /// The name of the generator: another one that draws other pictures has another name.
    package static let kind = "shapes-1"
    /// How many are drawn unless specified.
    package static let defaultCount = 500

    /// How many pictures there are.
    package let count: Int
    /// The seed.
    package let seed: UInt64

    /// Pictures of a seed; more of them begin with the same ones.
    package init(count: Int = defaultCount, seed: UInt64) { (self.count, self.seed) = (count, seed) }

    /// Draws one of the pictures. Its shapes do not depend on the resolution.
    package func picture(_ index: Int, size: ImageSize) -> RGBImage {
        var draws = SplitMix64(state: SplitMix64.mix(seed, UInt64(index)))
        var canvas = Canvas(size, colour: (0..<3).map { _ in draws.uniform(0, 255) })
        let palette = (colour: (0..<3).map { _ in draws.uniform(0, 255) }, spread: draws.uniform(20, 120))
        for _ in 0..<(10 + draws.next(below: 110)) {
            canvas.add(Shape(&draws, canvas.extent, palette.colour.map { $0 + palette.spread * draws.nearlyNormal() }))
        }
        canvas.addNoise(draws.uniform(0, 12), &draws)
        if draws.next(below: 2) == 0 { canvas.soften() }
        return canvas.image
    }
}

/// A shape. Lengths are in units of the picture's shorter side.
private struct Shape {
    private enum Outline { case disc, box(Double), triangle(Double) }

    /// The range of radii.
    private static let radii = (0.05, 2.0 / 3)

    let centre: (x: Double, y: Double)
    let radius: Double
    private let axis: (x: Double, y: Double)
    private let outline: Outline
    private let colour: [Double]
    /// A wave with its frequency in periods, or a slope in levels, per unit of length along a direction.
    private let texture: (isWave: Bool, direction: (x: Double, y: Double), rate: Double, phase: Double, depth: Double)

    init(_ draws: inout SplitMix64, _ extent: (x: Double, y: Double), _ colour: [Double]) {
        self.colour = colour
        centre = (draws.uniform(0, extent.x), draws.uniform(0, extent.y))
        let (least, most) = Self.radii
        radius = least / (1 - draws.nextUniform() * (1 - least * least / (most * most))).squareRoot()
        axis = draws.direction()
        outline =
            switch draws.next(below: 3) {
            case 0: .disc
            case 1: .box(draws.uniform(0.2, 1))
            default: .triangle(draws.uniform(-1, 1))
            }
        texture =
            draws.nextUniform() < 0.35
            ? (true, draws.direction(), draws.uniform(1, 15), draws.nextUniform(), draws.uniform(5, 60))
            : (false, draws.direction(), 80 * draws.nearlyNormal(), 0, 1)
    }

    /// The colour at a place; nil outside the shape.
    func colour(x: Double, y: Double, _ channel: Int) -> Double? {
        let (dx, dy) = (x - centre.x, y - centre.y)
        let u = (dx * axis.x + dy * axis.y) / radius
        let v = (dy * axis.x - dx * axis.y) / radius
        switch outline {
        case .disc: guard u * u + v * v <= 1 else { return nil }
        case .box(let height): guard abs(u) <= 1, abs(v) <= height else { return nil }
        case .triangle(let skew):
            let height = (v + 0.5) / 1.5
            guard (0...1).contains(height), u >= height * (skew + 1) - 1, u <= 1 - height * (1 - skew) else {
                return nil
            }
        }
        let along = texture.rate * (dx * texture.direction.x + dy * texture.direction.y) + texture.phase
        return colour[channel] + texture.depth * (texture.isWave ? Self.wave(along) : along)
    }

    /// A wave of period 1 between -1 and 1, made of parabolas.
    private static func wave(_ phase: Double) -> Double {
        let part = phase - phase.rounded(.down)
        return part < 0.5 ? 16 * part * (0.5 - part) : 16 * (part - 0.5) * (part - 1)
    }
}

/// A picture while it is drawn.
private struct Canvas {
    private let size: ImageSize
    private var values: [Double]
    private let side: Double

    init(_ size: ImageSize, colour: [Double]) {
        self.size = size
        side = Double(min(size.height, size.width))
        values = (0..<size.height * size.width).flatMap { _ in colour }
    }

    /// The extents in units of the shorter side.
    var extent: (x: Double, y: Double) { (Double(size.width) / side, Double(size.height) / side) }

    mutating func add(_ shape: Shape) {
        // No outline reaches further than √2 radii.
        func range(_ centre: Double, _ count: Int) -> Range<Int> {
            let (low, high) = (side * (centre - 1.42 * shape.radius), side * (centre + 1.42 * shape.radius))
            let first = min(max(Int(low), 0), count)
            return first..<max(min(Int(high) + 1, count), first)
        }
        for row in range(shape.centre.y, size.height) {
            for column in range(shape.centre.x, size.width) {
                let (x, y) = ((Double(column) + 0.5) / side, (Double(row) + 0.5) / side)
                for channel in 0..<3 {
                    guard let colour = shape.colour(x: x, y: y, channel) else { break }
                    values[(row * size.width + column) * 3 + channel] = colour
                }
            }
        }
    }

    mutating func addNoise(_ deviation: Double, _ draws: inout SplitMix64) {
        for index in values.indices { values[index] += deviation * draws.nearlyNormal() }
    }

    /// Replaces every pixel by the mean of itself and its four neighbours, again for every 64 pixels of the side.
    mutating func soften() {
        for _ in 0..<max(Int(side) / 64, 1) {
            let old = values
            for row in 0..<size.height {
                let (above, below) = (max(row - 1, 0), min(row + 1, size.height - 1))
                for column in 0..<size.width {
                    let (left, right) = (max(column - 1, 0), min(column + 1, size.width - 1))
                    let places = [(row, column), (above, column), (below, column), (row, left), (row, right)]
                    for channel in 0..<3 {
                        let sum = places.reduce(0) { $0 + old[($1.0 * size.width + $1.1) * 3 + channel] }
                        values[(row * size.width + column) * 3 + channel] = sum / 5
                    }
                }
            }
        }
    }

    var image: RGBImage {
        RGBImage(
            width: size.width, height: size.height,
            pixels: values.map { UInt8(min(max($0, 0), 255).rounded(.toNearestOrEven)) })
    }
}

extension SplitMix64 {
    fileprivate mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * nextUniform() }

    /// A number of mean 0 and variance 1: the sum of four uniform ones of 16 bits.
    fileprivate mutating func nearlyNormal() -> Double {
        let bits = next()
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48)
        return (Double(sum) / 65536 - 2) * 1.7320508075688772
    }

    /// A vector of length 1.
    fileprivate mutating func direction() -> (x: Double, y: Double) {
        while true {
            let (x, y) = (uniform(-1, 1), uniform(-1, 1))
            let square = x * x + y * y
            if square > 0.01, square <= 1 { return (x / square.squareRoot(), y / square.squareRoot()) }
        }
    }
}
