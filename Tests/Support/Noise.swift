/// Repeatable numbers in -1...1, from a linear congruential generator.
package struct Noise {
    private var state: UInt64

    package init(state: UInt64) { self.state = state }

    package mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
    }

    package mutating func values(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }
}
